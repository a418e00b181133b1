"""zlib on two suites and two architectures: four jobs of one run."""

from __future__ import annotations

import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract import lxd_cluster

from gbuild.formats.lockfile import read_lock
from gbuild.host.store import Store
from gbuild.image.provide import find

from .conftest import DESCRIPTORS, RELEASES_ONLY
from .ready import ready

if TYPE_CHECKING:
    from tests.conftest import Common

    from .conftest import Commands

pytestmark = pytest.mark.slow

_LABELS = ["bookworm-amd64", "bookworm-i386", "trixie-amd64", "trixie-i386"]


@pytest.fixture(scope="module")
def locked_zlib(commands: Commands, common: Common) -> Path:
    """A workspace with zlib.yml and its lock."""

    def lock(folder: Path) -> None:
        shutil.copy(DESCRIPTORS / "zlib.yml", folder)
        commands.run("glock", "zlib.yml", *RELEASES_ONLY, cwd=folder)

    return common.once("zlib", lock)


def _elf(path: Path) -> tuple[int, int]:
    """Return class (1: 32 bits, 2: 64) and machine (3: i386, 62: x86-64) of an ELF file; elf(5)."""
    head = path.read_bytes()[:20]
    assert head.startswith(b"\x7fELF")
    return head[4], int.from_bytes(head[18:20], "little")


@pytest.fixture(scope="module")
def side_by_side(commands: Commands, locked_zlib: Path) -> tuple[Any, str]:
    """What gbuild answers after it built zlib two jobs at a time, and the report."""
    words = ("zlib.yml", "--parallel", "2", "-j", "1", "--json")
    answer = commands.run("gbuild", *words, cwd=locked_zlib).answer
    return answer, (locked_zlib / "result" / "zlib-res.yml").read_text()


def test_four_jobs_in_one_run(locked_zlib: Path, side_by_side: tuple[Any, str]) -> None:
    answer, report = side_by_side
    assert [job["label"] for job in answer["jobs"]] == _LABELS
    assert len(answer["artifacts"]) == 8
    assert [f"- {label}: |" in report for label in _LABELS] == [True] * 4
    out = locked_zlib / "build" / "out"
    assert _elf(out / "libz-bookworm-32.so.1.2.13") == (1, 3)
    assert _elf(out / "libz-trixie-64.so.1.2.13") == (2, 62)


@pytest.mark.skipif(os.getuid() == 0, reason="as root it is seen on lxc, below")
def test_a_killed_run_is_resumed_and_gives_the_same(
    commands: Commands, locked_zlib: Path, side_by_side: tuple[Any, str]
) -> None:
    _kill_and_resume(commands, locked_zlib, side_by_side, "zlib.yml")


def _kill_and_resume(
    commands: Commands, workspace: Path, expected: tuple[Any, str], *words: str
) -> None:
    """Build one job after the other, in two runs: nothing of that shows in the results."""
    words = (*words, "-j", "1")
    with commands.start("gbuild", *words, cwd=workspace) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "[bookworm-i386] running the build script" in line:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=120)
    answer = commands.run("gbuild", *words, "--resume", "--json", cwd=workspace).answer
    assert [job["reused"] for job in answer["jobs"]] == [True, False, False, False]
    assert answer["artifacts"] == expected[0]["artifacts"]
    assert (workspace / "result" / "zlib-res.yml").read_text() == expected[1]


@pytest.mark.parametrize("label", _LABELS)
def test_an_image_holds_what_is_locked_and_nothing_of_one_run(
    commands: Commands, locked_zlib: Path, side_by_side: tuple[Any, str], label: str
) -> None:
    path = locked_zlib / "zlib.lock"
    environment = read_lock(path.read_bytes(), path=str(path)).environment(label)
    assert environment is not None
    image = find(environment, Store(commands.store))
    assert image is not None
    with tarfile.open(image.tar) as archive:
        members = {m.name: m for m in archive}
        machine_id = archive.extractfile("etc/machine-id")
        assert machine_id is not None
        assert machine_id.read() == b""
    assert not [n for n in members if n.startswith(("etc/ssh/ssh_host", ".debs", ".locales"))]
    assert not [n for n in members if n.startswith(("tmp/", "run/", "var/log/dpkg", "dev/"))]
    assert "usr/sbin/sshd" in members
    assert max(m.mtime for m in members.values()) <= environment.date
    assert {m.uname for m in members.values()} == {""}


@pytest.mark.root
@pytest.mark.backend("lxc")
def test_four_jobs_killed_and_resumed_are_the_same_on_lxc(
    commands: Commands, locked_zlib: Path, side_by_side: tuple[Any, str], place: Path
) -> None:
    with ready("lxc", commands, place) as (here, work):
        _copy(locked_zlib, work)
        _kill_and_resume(here, work, side_by_side, "zlib.yml", "--backend", "lxc")


@pytest.mark.root
@pytest.mark.backend("oci")
def test_one_of_the_jobs_is_the_same_on_oci(
    commands: Commands, locked_zlib: Path, side_by_side: tuple[Any, str], place: Path
) -> None:
    with ready("oci", commands, place) as (here, work):
        _copy(locked_zlib, work)
        path = _some_jobs(work, architectures="i386")
        words = ("--workspace", work, "--backend", "oci", "-j", "1", "--json")
        with _looked_after(here, path, "oci"):
            answer = here.run("gbuild", *words, path, cwd=work).answer
            _compare(answer, side_by_side[0], "bookworm-i386")
            _build_on(here, path, answer["jobs"][0]["facts"]["image_digest"])


def _build_on(here: Commands, path: Path, digest: str) -> None:
    """Build on an image of the engine that the descriptor names."""
    head = path.read_text().partition("script: |")[0]
    path.write_text(f"{head}docker_image_digests: ['{digest}']\nscript: |\n  true\n")
    named = ("--backend-option", "image=descriptor", "--backend-option", "storage=own")
    words = ("--workspace", path.parent, "--backend", "oci", "-j", "1", "--json", *named)
    facts = here.run("gbuild", *words, path, cwd=path.parent).answer["jobs"][0]["facts"]
    assert facts["image_from"] == "the engine"
    assert (facts["image_digest"], facts["drift"]) == (digest, "none")


@pytest.mark.root
@pytest.mark.backend("lxd")
def test_two_of_the_jobs_are_placed_by_a_cluster_of_lxd_and_the_same(
    commands: Commands, locked_zlib: Path, side_by_side: tuple[Any, str], place: Path
) -> None:
    """Two at once on two members, neither of which the build names."""
    _copy(locked_zlib, place)
    path = _some_jobs(place, architectures="amd64, i386")
    with lxd_cluster.running() as cluster:
        told = {**commands.environment, "LXD_DIR": str(cluster.first.folder)}
        here = replace(commands, environment=told)
        with _looked_after(here, path, "lxd"):
            words = ("--backend", "lxd", "--parallel", "2", "-j", "1", "--json")
            answer = here.run("gbuild", *words, path, cwd=place).answer
            assert cluster.first.listing() == []
    assert {job["facts"]["member"] for job in answer["jobs"]} <= {"m1", "m2"}
    _compare(answer, side_by_side[0], "bookworm-amd64", "bookworm-i386")


@contextmanager
def _looked_after(here: Commands, path: Path, backend: str) -> Iterator[None]:
    """Have gbase make a backend's images of the jobs before, list, remove and prune them after."""
    work = path.parent
    own = ("--backend", backend, "--json")
    made = here.run("gbase", "make", "--workspace", work, *own, path, cwd=work).answer["made"]
    yield
    listed = here.run("gbase", "list", *own, cwd=work).answer["prepared"]
    assert {one["backend"] for one in listed} == {backend}
    assert {(one["label"], one["key"]) for one in listed} == {
        (one["label"], one["key"]) for one in made
    }
    for one in made:
        gone = here.run("gbase", "remove", *own, one["key"], cwd=work).answer
        assert gone["removed"] == [one["key"]]
    assert here.run("gbase", "list", *own, cwd=work).answer["prepared"] == []
    assert here.run("gbase", "prune", "--all", *own, cwd=work).answer["removed"] == []


def _some_jobs(work: Path, *, architectures: str) -> Path:
    """Let the descriptor there build bookworm alone, for some architectures."""
    path = work / "zlib.yml"
    some = path.read_text().replace("[bookworm, trixie]", "[bookworm]")
    path.write_text(some.replace("[amd64, i386]", f"[{architectures}]"))
    return path


def _compare(answer: Any, four: Any, *labels: str) -> None:
    """Check that some jobs made what they made as some of four."""
    assert [job["label"] for job in answer["jobs"]] == list(labels)
    assert len(answer["artifacts"]) == 2 * len(labels)
    assert [one for one in answer["artifacts"] if one not in four["artifacts"]] == []


def _copy(locked: Path, work: Path) -> None:
    for suffix in (".yml", ".lock", ".lock.proof"):
        shutil.copy(locked / f"zlib{suffix}", work)
