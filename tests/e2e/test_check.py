"""gcheck ended at every step, on a full disk, and asked for more than it varies by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gbuild.check import history

from .conftest import check_gone

if TYPE_CHECKING:
    from .conftest import Project

_SCRIPT = """\
setsid sleep 1000 &
umask > $OUTDIR/sensitive
date +%s > $OUTDIR/unstable
echo > $OUTDIR/fine
"""
_FEW = ("--only", "umask", "--only", "home")
_PAST = (
    '{"backend": "userns", "descriptor_sha256": "", "format": "gbuild.gcheck-history/1",'
    ' "started": "2026-01-01T00:00:00Z", "verdicts": {"fine": "reproducible"}}\n'
)
STEPS = (
    ("build 1: the control", signal.SIGKILL),
    ("build 2: with all", signal.SIGINT),
    ("build 3: the control again", signal.SIGKILL),
    ("looking for the causes", signal.SIGTERM),
)


def _workspace(project: Project, name: str) -> Path:
    """Make a workspace that was checked once before."""
    folder = project.root / name
    (folder / "result").mkdir(parents=True)
    history.path_of(folder / "result", "small").write_text(_PAST)
    return folder


def _end_at(process: subprocess.Popen[str], text: str, number: signal.Signals) -> None:
    assert process.stderr is not None
    seen = next((line for line in process.stderr if text in line), None)
    assert seen, f"{text} was never said"
    os.kill(process.pid, number)


def test_ended_at_any_step(project: Project, orphans: Callable[[], set[str]]) -> None:
    """Several at once, each in a workspace of its own; then one of these is checked to the end."""
    path = project.describe(_SCRIPT)
    folders = [_workspace(project, str(number)) for number in range(len(STEPS))]
    running = [
        project.commands.start("gcheck", *_FEW, "--workspace", folder, path, cwd=project.root)
        for folder in folders
    ]
    for process, (text, number) in zip(running, STEPS, strict=True):
        with process:
            _end_at(process, text, number)
            process.communicate(timeout=60)
            assert process.returncode == (-9 if number == signal.SIGKILL else 130), text
    check_gone(orphans)
    for folder in folders:
        assert [p.name for p in (folder / "result").iterdir()] == ["small-check-history.jsonl"]
        assert history.path_of(folder / "result", "small").read_text() == _PAST
    answer = _checked(project, path, folders[2])
    found = {a["path"]: (a["verdict"], a["differed"], a["repeats"]) for a in answer["artifacts"]}
    assert found == {
        "fine": ("reproducible", 0, 2),
        "sensitive": ("sensitive", 0, 2),
        "unstable": ("unstable", 2, 2),
    }
    (axis,) = (axis for axis in answer["axes"] if axis["state"] != "not run")
    assert (axis["name"], axis["value"], axis["state"]) == ("time", "3", "same")
    past, now = history.read(history.path_of(folders[2] / "result", "small"))
    assert (past.verdicts["fine"], now.verdicts["unstable"]) == ("reproducible", "unstable")


def _checked(project: Project, path: Path, folder: Path) -> Any:
    more = ("--rounds", "2", "--also", "time=3", "--parallel", "2", "--json")
    done = project.commands.run(
        "gcheck", *_FEW, *more, "--workspace", folder, path, cwd=project.root, code=1
    )
    made = {p.name for p in (folder / "var/check/small").iterdir()}
    assert len(made) == len(done.answer["builds"])
    assert done.answer == json.loads((folder / "result/small-check.json").read_bytes())
    return done.answer


@pytest.mark.root
def test_a_disk_that_is_full_after_the_control(project: Project, small_disk: Path) -> None:
    path = project.describe("head -c 60000000 /dev/urandom > $OUTDIR/big")
    folder = _workspace(project, "disk")
    assert folder == small_disk
    ended = project.commands.run(
        "gcheck", *_FEW, "--workspace", folder, path, cwd=project.root, code=3
    )
    assert "No space left on device" in ended.stderr
    assert "bug" not in ended.stderr
    assert [p.name for p in (folder / "result").iterdir()] == ["small-check-history.jsonl"]
    assert history.path_of(folder / "result", "small").read_text() == _PAST
