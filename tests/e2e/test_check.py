"""gcheck ended at every step, on a full disk, and asked for more than it varies by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gbuild.check import history

from .conftest import check_gone

if TYPE_CHECKING:
    from .conftest import Project

_SCRIPT = """\
setsid sleep 1000 &
sleep 1
umask > $OUTDIR/sensitive
date +%s > $OUTDIR/unstable
echo > $OUTDIR/fine
"""
_MANY = "for n in $(seq 60); do date +%s > $OUTDIR/$n; done"
"""So many artefacts differ that nobody misses the moment when their causes are looked for."""

_FEW = ("--only", "umask", "--only", "home")
_PAST = (
    '{"backend": "userns", "descriptor_sha256": "", "format": "gbuild.gcheck-history/1",'
    ' "started": "2026-01-01T00:00:00Z", "verdicts": {"fine": "reproducible"}}\n'
)
STEPS = (
    ("small", "build 1: the control", signal.SIGKILL),
    ("small", "build 2: with everything", signal.SIGINT),
    ("small", "build 3: the control again", signal.SIGKILL),
    ("many", "looking for the causes", signal.SIGTERM),
)


def _workspace(project: Project, folder: str, name: str) -> Path:
    """Make a workspace where ``name`` was checked once before."""
    result = project.root / folder / "result"
    result.mkdir(parents=True)
    history.path_of(result, name).write_text(_PAST)
    return result.parent


def _unchanged(folder: Path, name: str) -> bool:
    """Say whether the history of the check before is all that there is."""
    path = history.path_of(folder / "result", name)
    return list((folder / "result").iterdir()) == [path] and path.read_text() == _PAST


def _end_at(process: subprocess.Popen[str], text: str, number: signal.Signals) -> int:
    """Send a signal once a line holds the text; return the exit status."""
    assert process.stderr is not None
    with process:
        seen = next((line for line in process.stderr if text in line), None)
        assert seen, f"{text} was never said"
        os.kill(process.pid, number)
        process.communicate(timeout=120)
    return process.returncode


def test_ended_at_any_step(project: Project, orphans: Callable[[], set[str]]) -> None:
    """Several at once, each in a workspace of its own; then one of these is checked to the end."""
    paths = {
        name: project.describe(script, name=name)
        for name, script in (("small", _SCRIPT), ("many", _MANY))
    }
    folders = [_workspace(project, str(n), step[0]) for n, step in enumerate(STEPS)]
    running = [
        project.commands.start(
            "gcheck", *_FEW, "--workspace", folder, paths[name], cwd=project.root
        )
        for folder, (name, _, _) in zip(folders, STEPS, strict=True)
    ]
    with ThreadPoolExecutor(len(STEPS)) as pool:
        texts, numbers = ([step[n] for step in STEPS] for n in (1, 2))
        codes = list(pool.map(_end_at, running, texts, numbers))
    assert codes == [-9 if number == signal.SIGKILL else 130 for _, _, number in STEPS]
    check_gone(orphans)
    for folder, (name, text, _) in zip(folders, STEPS, strict=True):
        assert _unchanged(folder, name), text
    answer = _checked(project, paths["small"], folders[2])
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


def test_a_cause_that_can_be_seen_is_proven_by_two_builds(project: Project) -> None:
    path = project.describe("pwd -P > $OUTDIR/where")
    words = ("--parallel", "2", "--json", path)
    answer = project.commands.run("gcheck", *words, cwd=project.root, code=1).answer
    (found,) = answer["artifacts"]
    assert (found["causes"], found["certain"]) == ([["build-path"]], True)
    assert {trace["cause"] for trace in found["traces"]} == {"build-path"}
    kinds = [build["kind"] for build in answer["builds"]]
    assert kinds == ["control", "all", "repeat", "test", "test"]
    others, alone = (set(build["varied"]) for build in answer["builds"][3:])
    assert alone == {"build-path"}
    assert others | alone == set(answer["builds"][1]["varied"])
    assert not others & alone


@pytest.mark.root
def test_a_disk_that_is_full_after_the_control(project: Project, small_disk: Path) -> None:
    path = project.describe("head -c 60000000 /dev/urandom > $OUTDIR/big")
    folder = _workspace(project, "disk", "small")
    assert folder == small_disk
    ended = project.commands.run(
        "gcheck", *_FEW, "--workspace", folder, path, cwd=project.root, code=3
    )
    assert "No space left on device" in ended.stderr
    assert "bug" not in ended.stderr
    assert _unchanged(folder, "small")
