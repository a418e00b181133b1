"""gget against servers that break every rule, killed processes and full disks."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.integration.inputs.conftest import Site

from gbuild.errors import Busy, HostFailure, Unavailable, WrongHash
from gbuild.get.download import Download
from gbuild.get.install import install
from gbuild.get.run import get
from gbuild.get.sources import source
from gbuild.model.event import discard

from .project import QUICK, Project

PATIENCE = 60
"""Seconds that a test waits for what happens at once, on a busy machine too."""
BIG = bytes(range(256)) * 4096


def serve(site: Site, project: Project, *paths: str) -> str:
    """Serve the files of the project; return the address of their folder."""
    for path in paths:
        site.serve(f"/{path}", (project.out / path).read_bytes())
    return f"{site.base}/"


def half(data: bytes, request: BaseHTTPRequestHandler) -> None:
    """Promise all and send half."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data[: len(data) // 2])


def no_stage(project: Project) -> bool:
    return project.got() == {} and not (project.destination / "1.0").exists()


def test_files_come_from_the_web(project: Project, site: Site) -> None:
    files = {"a b+c%.txt": b"odd name", "src/x": b"x"}
    project.release(files=files)
    site.serve("/1.0/a%20b+c%25.txt", b"odd name")
    site.serve("/1.0/x", b"x")  # flat
    assert project.get(f"{site.base}/1.0").state == "fetched"
    assert project.got() == files


def test_another_place_is_asked_when_the_first_has_other_bytes(
    project: Project, site: Site
) -> None:
    project.release(files={"a": b"right"})
    site.serve("/bad/a", b"wrong")
    site.serve("/good/a", b"right")
    assert project.get(f"{site.base}/bad/", f"{site.base}/good/").state == "fetched"
    with pytest.raises(WrongHash, match="not the file that was signed") as caught:
        project.get(f"{site.base}/bad/", destination=project.root / "elsewhere")
    assert "/bad/a: wrong hash" in caught.value.details[0]


def test_a_redirect_on_one_scheme_is_followed(project: Project, site: Site) -> None:
    project.release(files={"a": b"right"})
    site.serve("/there", b"right")
    site.status("/a", 302, Location="/there")
    assert project.get(site.base).state == "fetched"


@pytest.mark.parametrize("target", ["https://127.0.0.1:1/a", "file:///etc/passwd", "ftp://x/a"])
def test_a_redirect_to_another_scheme_is_not(project: Project, site: Site, target: str) -> None:
    project.release(files={"a": b"right"})
    site.status("/a", 302, Location=target)
    with pytest.raises(Unavailable) as caught:
        project.get(site.base)
    assert "not followed" in caught.value.details[0]
    assert no_stage(project)


def test_redirects_without_end(project: Project, site: Site) -> None:
    project.release(files={"a": b"right"})
    site.status("/a", 302, Location="/a")
    with pytest.raises(Unavailable) as caught:
        project.get(site.base)
    assert "redirects" in caught.value.details[0]


def test_a_body_without_end_is_cut_off(project: Project, site: Site) -> None:
    project.release(files={"a": b"right"})

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"\0" * 65536)

    site.routes["/a"] = endless
    with pytest.raises(Unavailable, match="larger than the 1000000 bytes"):
        project.get(site.base, largest=1_000_000)
    assert project.left_over() == []


def test_all_files_together_are_bounded(project: Project, site: Site) -> None:
    project.release(files={"a": b"1" * 600, "b": b"2" * 600})
    base = serve(site, project, "a", "b")
    with pytest.raises(Unavailable, match="b: the release is larger"):
        project.get(base, largest=1000)
    assert no_stage(project)
    assert project.get(base, largest=1200).state == "fetched"


def test_more_bytes_than_the_server_said(project: Project, site: Site) -> None:
    project.release(files={"a": b"right"})
    site.serve("/a", b"right, and more")
    with pytest.raises(WrongHash):
        project.get(site.base)


def test_an_interrupted_download_goes_on(project: Project, site: Site) -> None:
    project.release(files={"a": BIG})
    site.routes["/a"] = lambda request: half(BIG, request)
    with pytest.raises(Unavailable, match="could not be fetched"):
        project.get(site.base)
    assert project.left_over() == [".gget-1.0"]
    assert no_stage(project)
    site.asked.clear()
    site.serve("/a", BIG)
    assert project.get(site.base).state == "fetched"
    assert [h.get("Range") for h in site.headers_of("/a")] == [f"bytes={len(BIG) // 2}-"]
    assert project.left_over() == []


def test_a_file_that_changed_between_two_runs_begins_anew(project: Project, site: Site) -> None:
    project.release(files={"a": BIG})
    other = b"\xff" * len(BIG)
    site.routes["/a"] = lambda request: half(other, request)
    with pytest.raises(Unavailable):
        project.get(site.base)
    site.asked.clear()
    site.serve("/a", BIG)
    assert project.get(site.base).state == "fetched"
    assert [h.get("Range") for h in site.headers_of("/a")] == [f"bytes={len(BIG) // 2}-", None]
    assert project.got() == {"a": BIG}


def test_a_server_without_ranges(project: Project, site: Site) -> None:
    project.release(files={"a": BIG})
    site.routes["/a"] = lambda request: half(BIG, request)
    with pytest.raises(Unavailable):
        project.get(site.base)
    site.serve("/a", BIG, ranges=False)
    assert project.get(site.base).state == "fetched"


def test_a_part_that_is_larger_than_is_allowed_now_is_begun_anew(
    project: Project, site: Site
) -> None:
    project.release(files={"a": b"right"})
    site.routes["/a"] = lambda request: half(BIG, request)
    with pytest.raises(Unavailable):
        project.get(site.base)
    (part,) = (project.destination / ".gget-1.0/parts").iterdir()
    assert part.stat().st_size == len(BIG) // 2
    site.serve("/a", b"right")
    assert project.get(site.base, largest=1000).state == "fetched"
    assert project.got() == {"a": b"right"}


def test_a_part_that_is_a_link_is_thrown_away(project: Project, site: Site) -> None:
    project.release(files={"a": BIG})
    site.routes["/a"] = lambda request: half(BIG, request)
    with pytest.raises(Unavailable):
        project.get(site.base)
    (part,) = (project.destination / ".gget-1.0/parts").iterdir()
    victim = project.root / "victim"
    victim.write_bytes(part.read_bytes())
    part.unlink()
    part.symlink_to(victim)
    site.serve("/a", BIG)
    assert project.get(site.base).state == "fetched"
    assert len(victim.read_bytes()) == len(BIG) // 2
    assert not (project.destination / "1.0/a").is_symlink()


def test_a_part_with_a_second_name_is_thrown_away(project: Project, site: Site) -> None:
    """Whoever keeps another name of a part could change it after it was hashed."""
    project.release(files={"a": BIG})
    site.routes["/a"] = lambda request: half(BIG, request)
    with pytest.raises(Unavailable):
        project.get(site.base)
    (part,) = (project.destination / ".gget-1.0/parts").iterdir()
    os.link(part, project.root / "kept")
    site.serve("/a", BIG)
    project.get(site.base)
    assert (project.destination / "1.0/a").stat().st_nlink == 1


def test_a_stalled_server_is_given_up(project: Project, site: Site) -> None:
    project.release(files={"a": b"right"})
    over = threading.Event()

    def stall(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "5")
        request.end_headers()
        request.wfile.write(b"r")
        request.wfile.flush()
        over.wait(PATIENCE)

    site.routes["/a"] = stall
    impatient = replace(QUICK, patience=0.3, rounds=1)
    try:
        with pytest.raises(Unavailable) as caught:
            get(project.order(site.base), settings=impatient, sink=project.told.append)
    finally:
        over.set()
    assert "stalled" in caught.value.details[0]


def test_a_disk_without_room_is_seen_before_it_is_full(
    project: Project, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.release(files={"a": BIG})
    base = serve(site, project, "a")
    monkeypatch.setattr("gbuild.get.transfer.free", lambda _: len(BIG))
    with pytest.raises(HostFailure, match="only 1048576 are free"):
        project.get(base)
    assert no_stage(project)


def test_a_full_disk_leaves_nothing_half_done(project: Project) -> None:
    """A real file system of one MiB, in a mount namespace of its own."""
    project.release(files={"a": b"small", "b": BIG})
    project.destination.mkdir()
    script = (
        'mount -t tmpfs -o size=512k none got && "$0" -m gbuild.cli.gget "$@"; code=$?; '
        "find got -mindepth 1 -name 1.0; exit $code"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script,
         sys.executable, "-r", "1.0", "-s", "sigs", "out", "-d", "got"],
        cwd=project.root,
        env={"PATH": os.environ["PATH"], "HOME": str(project.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert done.stderr.endswith("choose another folder with --destination\n")
    assert "1.0" not in done.stdout.split("\n")
    assert project.get().state == "fetched"


# Processes.


def put(project: Project, files: dict[str, bytes]) -> bool:
    """Fetch and install what was agreed on; say whether anything had to be done."""
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    download = Download(
        sources=(source(str(project.out)),), largest=1 << 20, settings=QUICK, sink=discard
    )
    return install(project.destination, "1.0", wanted, download) is not None


def killed_at(project: Project, files: dict[str, bytes], number: int) -> bool:
    """Run it in a child that is killed at its n-th change of the file system."""
    child = os.fork()
    if child == 0:
        try:
            _count_down(number)
            put(project, files)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _count_down(number: int) -> None:
    left = number

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*words, **named)

        return call

    for name in ("rename", "mkdir", "fsync", "fchmod", "pwrite", "rmdir", "unlink", "replace"):
        setattr(os, name, counted(getattr(os, name)))


def test_killed_anywhere_leaves_nothing_half_installed(project: Project) -> None:
    whole = {"a": b"1" * 100, "b/c": b"2" * 100, "d": b"1" * 100}
    project.release(files=whole, by=())
    killed = 0
    for number in range(1, 80):
        project.folder = f"got{number}"
        if not killed_at(project, whole, number):
            break
        killed += 1
        before = project.got()
        assert before in ({}, whole)
        assert (project.destination / "1.0").exists() == (before == whole)
        assert put(project, whole) == (before == {})
        assert project.got() == whole
    else:
        pytest.fail("it never ran to its end")
    assert killed > 15


def test_killed_while_bytes_come_goes_on(project: Project, site: Site) -> None:
    project.release(files={"a": BIG})
    arrived, over = threading.Event(), threading.Event()

    def slow(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BIG)))
        request.end_headers()
        request.wfile.write(BIG[: len(BIG) // 2])
        request.wfile.flush()
        arrived.set()
        over.wait(PATIENCE)

    site.routes["/a"] = slow
    run = started(project, site.base)
    assert arrived.wait(PATIENCE)
    part = wait_for_bytes(project.destination / ".gget-1.0/parts")
    with pytest.raises(Busy, match="another gget"):
        project.get(site.base)
    run.kill()
    run.wait()
    over.set()
    assert no_stage(project)
    there = part.stat().st_size
    site.asked.clear()
    site.serve("/a", BIG)
    assert project.get(site.base).state == "fetched"
    assert site.headers_of("/a")[0]["Range"] == f"bytes={there}-"
    assert project.got() == {"a": BIG}


def test_an_interrupt_ends_at_once_and_keeps_the_part(project: Project, site: Site) -> None:
    project.release(files={"a": BIG})
    over = threading.Event()

    def slow(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BIG)))
        request.end_headers()
        request.wfile.write(BIG[:65536])
        request.wfile.flush()
        over.wait(PATIENCE)

    site.routes["/a"] = slow
    run = started(project, site.base)
    wait_for_bytes(project.destination / ".gget-1.0/parts")
    run.send_signal(signal.SIGINT)
    assert run.wait(PATIENCE) == 130
    over.set()
    assert project.left_over() == [".gget-1.0"]


def test_many_at_once_make_one_whole(project: Project) -> None:
    project.release()
    runs = [started(project, "out") for _ in range(3)]
    codes = sorted(run.wait(PATIENCE) for run in runs)
    assert codes[0] == 0
    assert set(codes) <= {0, 3}
    assert project.get().state == "present"
    assert project.left_over() == []


def started(project: Project, place: str) -> subprocess.Popen[bytes]:
    words = ["-r", "1.0", "-s", "sigs", place, "-d", "got", "--quiet"]
    return subprocess.Popen(
        [sys.executable, "-m", "gbuild.cli.gget", *words],
        cwd=project.root,
        env={"PATH": os.environ["PATH"], "HOME": str(project.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_bytes(folder: Path) -> Path:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for part in folder.glob("*"):
            if part.stat().st_size:
                return part
        time.sleep(0.02)
    raise AssertionError("nothing came")
