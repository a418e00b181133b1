"""Scripts that fail, hang, fill things or leave daemons: a clear error, and nothing left."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def test_a_failing_script(project: Project) -> None:
    ended = project.gbuild(project.describe("echo about to fail\nfalse\necho never"), code=6)
    assert "bookworm-amd64: the build script failed with status 1" in ended.stderr
    assert "  + false\n" in ended.stderr
    log = (project.root / "var" / "build.log").resolve()
    assert f"log: {log}" in ended.stderr
    assert "gtarget shell" in ended.stderr
    assert "about to fail" in log.read_text()
    assert "never" not in log.read_text()
    assert not (project.root / "result" / "small-res.yml").exists()
    assert not (project.root / "build" / "out").exists()


def test_a_script_that_removes_what_it_should_fill(project: Project) -> None:
    ended = project.gbuild(project.describe("rm -rf ~/out"), code=6)
    assert "the build script left no folder out that can be read" in ended.stderr
    assert "No such file or directory" in ended.stderr
    assert "--keep" in ended.stderr


def test_a_failed_build_as_json(project: Project) -> None:
    ended = project.gbuild(project.describe("exit 3"), "--json", code=6)
    assert ended.answer["format"] == "gbuild.gbuild/1"
    assert ended.answer["error"]["code"] == 6
    assert "status 3" in ended.answer["error"]["brief"]


def test_a_hanging_script_is_killed(project: Project) -> None:
    script = "echo started\nsetsid sleep 1000 &\ntrap '' TERM INT\nwhile :; do sleep 1000; done"
    ended = project.gbuild(project.describe(script), "--timeout", "3", code=7, timeout=60)
    assert "took longer than 3 seconds" in ended.stderr
    assert "started" in ended.stderr


def test_a_daemon_does_not_outlive_its_build(project: Project) -> None:
    script = "setsid sh -c 'while :; do echo still here; sleep 1; done' &\necho > $OUTDIR/made"
    project.gbuild(project.describe(script), timeout=60)
    assert (project.root / "build" / "out" / "made").exists()


def test_a_script_that_fills_the_log(project: Project) -> None:
    script = "set +x\nhead -c 300000000 /dev/zero | tr '\\0' x\necho\necho the end; exit 9"
    ended = project.gbuild(project.describe(script), code=6)
    log = project.root / "var" / "build.log"
    assert log.stat().st_size < (256 << 20) + 200
    assert log.read_bytes()[-80:].startswith(b"x") or b"the log ends here" in log.read_bytes()[-80:]
    assert "  the end" in ended.stderr


def test_a_full_target(project: Project) -> None:
    script = "head -c 200000000 /dev/urandom > big"
    ended = project.gbuild(project.describe(script), "--disk", "64", code=6)
    assert "No space left on device" in ended.stderr
    assert "--disk" in ended.stderr


def test_too_much_memory(project: Project) -> None:
    script = "perl -e '$x = \"x\" x 600_000_000; print length $x' > $OUTDIR/x"
    small = ("-m", "128", "--disk", "64")
    facts = project.gbuild(project.describe("true"), *small, "--json").answer["jobs"][0]["facts"]
    if facts["memory"] == "unlimited":
        pytest.skip("this host does not let the memory be limited")
    project.gbuild(project.describe(script), *small, code=6)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("ln -s /etc/passwd $OUTDIR/x", "link out of the tree"),
        ("ln -s ../../.. $OUTDIR/up; ln -s up/etc/passwd $OUTDIR/x", "link out of the tree"),
        ("mkfifo $OUTDIR/pipe", "pipe"),
        ("touch \"$OUTDIR/$(printf 'a\\nb')\"", "control character"),
        ("touch \"$OUTDIR/$(printf '\\377')\"", "not utf-8"),
    ],
)
def test_what_cannot_be_taken_from_out(project: Project, script: str, said: str) -> None:
    ended = project.gbuild(project.describe(script), code=6)
    assert said in ended.stderr.lower()
    assert "\x1b" not in ended.stderr
    assert not (project.root / "build" / "out").exists()


def test_log_bytes_do_not_drive_the_terminal(project: Project) -> None:
    ended = project.gbuild(project.describe("printf '\\033]0;owned\\007\\033[2J'; exit 1"), code=6)
    assert "\x1b" not in ended.stderr + ended.stdout
    assert "\x07" not in ended.stderr + ended.stdout


def test_sudo_is_refused_before_anything_starts(project: Project) -> None:
    path = project.describe("sudo true", more="sudo: true\n")
    ended = project.gbuild(path, code=2)
    assert "--allow-sudo" in ended.stderr
    assert not (project.root / "var" / "build.log").exists()
    assert not (project.root / "build").exists()


def test_without_sudo_no_set_uid_program_works(project: Project) -> None:
    script = (
        "if sudo -n true; then exit 1; fi\n"
        "if su -c true < /dev/null; then exit 1; fi\n"
        "id -u > $OUTDIR/id\n"
    )
    project.gbuild(project.describe(script))
    assert (project.root / "build" / "out" / "id").read_text() == "1000\n"


def test_sudo_does_not_reach_the_manifests(project: Project) -> None:
    project.gbuild(project.describe("echo > $OUTDIR/x"))
    plain = (project.root / "result" / "small-res.yml").read_text()
    script = "sudo sh -c 'rm /var/lib/dpkg/status; echo evil > /etc/evil'\necho > $OUTDIR/x"
    project.gbuild(project.describe(script, more="sudo: true\n"), "--allow-sudo")
    other = (project.root / "result" / "small-res.yml").read_text()
    plain_lines, other_lines = plain.splitlines(), other.splitlines()
    changed = [a for a, b in zip(plain_lines, other_lines, strict=True) if a != b]
    assert len(changed) == 1
    assert changed[0].endswith("small-desc.yml")


def test_two_builds_in_one_workspace(project: Project) -> None:
    path = project.describe("echo > $OUTDIR/x")
    with project.commands.start("gbuild", path, cwd=project.root) as first:
        _until(first, "starting the target")
        first.send_signal(signal.SIGSTOP)
        try:
            second = project.gbuild(path, code=3)
            assert f"process {first.pid}" in second.stderr
            waiting = project.commands.start("gbuild", path, "--wait", cwd=project.root)
            time.sleep(1)  # a slow one comes when the first has ended: then it does not wait
            assert waiting.poll() is None
        finally:
            first.send_signal(signal.SIGCONT)
        first.communicate(timeout=120)
    assert first.returncode == 0
    told, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 0
    assert "x" in told


def _until(process: subprocess.Popen[str], text: str) -> None:
    """Read a process's standard error until a line holds the text."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if text in line:
            return
    pytest.fail("".join(seen))


@pytest.mark.root
def test_a_full_disk_of_the_host(project: Project, small_disk: Path) -> None:
    path = project.describe("head -c 150000000 /dev/urandom > $OUTDIR/big")
    ended = project.gbuild(path, "--workspace", small_disk, code=3)
    assert "No space left on device" in ended.stderr
    assert "bug" not in ended.stderr
    smaller = project.describe("echo > $OUTDIR/x")
    project.gbuild(smaller, "--workspace", small_disk)
    (small_disk / "filler").write_bytes(bytes(60_000_000))
    ended = project.gbuild(smaller, "--workspace", small_disk, code=3)
    assert "MiB are needed" in ended.stderr


@pytest.mark.root
@pytest.mark.slow
def test_a_disk_that_is_full_while_an_image_is_made(minimal: Project, small_disk: Path) -> None:
    store = small_disk / "store"
    store.mkdir()
    (store / "blobs").symlink_to(minimal.commands.store / "blobs")  # the packages are at hand
    path = minimal.describe("true", more="base: minimal\n")
    there = replace(minimal.commands, store=store)
    ended = there.run("gbase", "make", path, "--offline", cwd=minimal.root, code=3)
    assert "could not be written: no space left on device" in ended.stderr
    assert "--store" in ended.stderr
    assert list((store / "tmp").iterdir()) == []
    assert there.run("gbase", "list", "--json", cwd=minimal.root).answer["images"] == []


def test_results_of_other_builds_stay(project: Project) -> None:
    result = project.root / "result"
    result.mkdir()
    (result / "other-res.yml").write_text("kept")
    (result / "small-res.yml").write_text("of an earlier build")
    project.gbuild(project.describe("exit 1"), code=6)
    assert (result / "small-res.yml").read_text() == "of an earlier build"
    project.gbuild(project.describe("echo > $OUTDIR/x"))
    assert (result / "other-res.yml").read_text() == "kept"
    assert (result / "small-res.yml").read_text().startswith("--- !!omap\n")


def test_a_stale_lock_is_refused(project: Project) -> None:
    ended = project.gbuild(project.describe("true", more="packages: [zip]\n"), code=2)
    assert "zip" in ended.stderr
    assert "glock" in ended.stderr


def test_a_poisoned_lock_is_refused(project: Project) -> None:
    path = project.describe("true")
    lock = project.root / "small.lock"
    text = lock.read_text()
    digest = text.partition('"name": "bash"')[2].partition('"sha256": "')[2][:64]
    lock.write_text(text.replace(digest, "0" * 64))
    ended = project.gbuild(path, code=8)
    assert "bash" in ended.stderr
