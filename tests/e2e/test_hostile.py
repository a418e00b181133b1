"""Scripts that attack the host that builds them: by their shell, their streams, their files."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

pytestmark = pytest.mark.usefixtures("leaves_nothing")

_CHANGED = """\
import gbuild.engine.runner as runner
runner.{} = {}
from gbuild.cli.gbuild import main
main()
"""
"""gbuild with another limit, so that reaching it takes no minutes."""


def test_a_shell_that_never_ends_does_not_hold_the_host(project: Project) -> None:
    """Every command runs by the build user's shell, whose start-up file the script may write."""
    script = "echo 'while :; do sleep 1; done' > ~/.bashrc\necho > $OUTDIR/x"
    done = subprocess.run(
        [sys.executable, "-c", _CHANGED.format("TREE_TIMEOUT", 3.0), str(project.describe(script))],
        cwd=project.root,
        env=project.commands.env(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "tar" in done.stderr
    assert "3 seconds" in done.stderr
    assert not (project.root / "result" / "small-res.yml").exists()


def test_a_shell_that_answers_instead_of_tar_is_refused(project: Project) -> None:
    script = "echo 'echo a stream of my own; exit' > ~/.bashrc\necho > $OUTDIR/x"
    ended = project.gbuild(project.describe(script), code=6)
    assert "tar stream" in ended.stderr
    assert not (project.root / "build" / "out").exists()


def test_daemons_that_flood_the_connection(project: Project) -> None:
    script = "(setsid yes &)\n(setsid sh -c 'yes >&2' &)\nsleep 1\necho > $OUTDIR/x"
    project.gbuild(project.describe(script), timeout=120)
    assert (project.root / "var" / "build.log").stat().st_size < (256 << 20) + 200


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("truncate -s 1T $OUTDIR/big", "bytes"),
        ("mkdir -p $OUTDIR/$(printf 'd/%.0s' {1..150})x", "folders inside each other"),
        ("ln -s b $OUTDIR/a; ln -s a $OUTDIR/b", "leads out of out/ or to nothing"),
        ("ln -s . $OUTDIR/self; ln -s self/self/x $OUTDIR/y", "leads out of out/ or to nothing"),
        ("mkdir \"$OUTDIR/$(printf 'a\\033]0;owned\\007')\"", "control character"),
        ("touch \"$OUTDIR/$(printf 'a\\342\\200\\256b')\"", "cannot stand in a manifest"),
        ("perl -MSocket -e 'socket S,1,1,0; bind S, pack_sockaddr_un(\"$ENV{OUTDIR}/s\")'", ""),
    ],
)
def test_odd_things_in_out(project: Project, script: str, said: str) -> None:
    ended = project.gbuild(project.describe(script), code=None, timeout=120)
    assert said in ended.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.stderr + ended.stdout)
    if said:
        assert ended.code == 6
        assert not (project.root / "build" / "out").exists()


def test_a_million_files_are_not_taken(project: Project) -> None:
    limits = "runner.TreeLimits(entries=5_000, size=1 << 36)"
    script = "set +x\ncd $OUTDIR\nperl -e 'for (1..6_000) { open F, \">f$_\"; close F }'"
    done = subprocess.run(
        [sys.executable, "-c", _CHANGED.format("_OUT_LIMITS", limits), project.describe(script)],
        cwd=project.root,
        env=project.commands.env(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert "more than 5000 entries" in done.stderr
    assert not list((project.root / "build").glob("*/out"))


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_nothing_that_a_script_says_drives_a_terminal(
    project: Project, flag: tuple[str, ...]
) -> None:
    evil = "\\033[31m\\r==> all is well\\302\\233\\342\\200\\256\\033]0;x\\007\\377\\n"
    script = f"printf '{evil}'\nexit 1"
    watched = {**project.commands.env(), "CI": "1"}
    done = subprocess.run(
        [*project.commands.argv("gbuild", project.describe(script)), *flag],
        cwd=project.root,
        env=watched,
        capture_output=True,
        timeout=120,
        check=False,
    )
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 6
    assert "all is well" in text
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(text)
    assert not [line for line in text.splitlines() if line.startswith("==> all is well")]


def test_calls_that_leave_a_container_are_refused(project: Project) -> None:
    calls = {
        "unshare": (272, 0x10000000),
        "setns": (308, 3, 0),
        "mount": (165, 0, 0, 0, 0, 0),
        "keyctl": (250, 0, -3, 0),
        "userfaultfd": (323, 0),
        "bpf": (321, 0, 0, 0),
        "perf_event_open": (298, 0, 0, -1, -1, 0),
        "ptrace of the first process": (101, 16, 1, 0, 0),
        "signal to the first process": (62, 1, 9),
        "io_uring_setup": (425, 1, 0),
        "open_by_handle_at": (304, 0, 0, 0),
        "fsopen": (430, 0, 0),
        "syslog": (103, 10, 0, 0),
        "settimeofday": (164, 0, 0),
    }
    lines = []
    for name, call in calls.items():
        numbers = ", ".join(map(str, call))
        lines.append(f"perl -e 'exit(syscall({numbers}) != -1)' || echo '{name}' >> $OUTDIR/bad")
    script = "\n".join(["touch $OUTDIR/bad", *lines])
    project.gbuild(project.describe(script))
    assert (project.root / "build" / "out" / "bad").read_text() == ""


@pytest.mark.parametrize("script", ['"$@" 2>/dev/full', '"$@" 2>&-', '{ "$@" 2>&3; } 3>&1 | :'])
def test_a_build_goes_on_when_nobody_reads_what_it_tells(project: Project, script: str) -> None:
    path = project.describe("echo > $OUTDIR/x")
    subprocess.run(
        ["sh", "-c", script, "sh", *project.commands.argv("gbuild", path)],
        cwd=project.root,
        env=project.commands.env(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (project.root / "result" / "small-res.yml").read_text().startswith("--- !!omap\n")
