"""Standard streams that are closed, full or broken: an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCES = Path(__file__).parents[3] / "src"
_COMMANDS = ("gbuild", "gsign", "gsigs", "gverify", "glock", "gtarget", "gbase", "gdoctor")


def ended(folder: Path, script: str, *words: str) -> tuple[int, str]:
    """Run a command as ``script`` (a shell's, ``"$@"`` is the command); its code and complaints."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_SOURCES), "GBUILD_STORE": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_without_a_standard_output(tmp_path: Path, command: str) -> None:
    assert ended(tmp_path, '"$@" >&-', f"gbuild.cli.{command}", "--help") == (0, "")


@pytest.mark.parametrize(
    "script",
    [
        '"$@" <&-',
        '"$@" >&-',
        '"$@" 2>&-',
        '"$@" <&- >&- 2>&-',
        '"$@" 2>/dev/full',
        '"$@" 2>/dev/null >/dev/full',
        '"$@" 3>&- 4>&- 5>&- 2>&- <&-',
    ],
)
def test_a_failure_keeps_its_code(tmp_path: Path, script: str) -> None:
    words = ("gbuild.cli.gverify", "--release", "1.0", "none")
    usual, _ = ended(tmp_path, '"$@"', *words)
    code, said = ended(tmp_path, script, *words)
    assert usual == 8
    assert code == usual
    assert "Traceback" not in said


def test_an_answer_that_could_not_be_written_is_no_success(tmp_path: Path) -> None:
    code, said = ended(tmp_path, '"$@" >/dev/full', "gbuild.cli.gbase", "list", "--json")
    assert code == 3
    assert "No space left" in said
    assert "Traceback" not in said


def test_an_odd_locale_and_no_home(tmp_path: Path) -> None:
    script = 'env -u HOME LC_ALL=xx_YY.none LANG=C PYTHONIOENCODING=ascii "$@"'
    name = "n\u00e4m\u00e9"
    code, said = ended(tmp_path, script, "gbuild.cli.gverify", "--release", "1.0", name)
    assert code in (2, 8)
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["inputs", "result", "var"])
@pytest.mark.parametrize("kind", ["file", "link to nowhere", "loop"])
def test_something_in_the_way_of_a_workspace(tmp_path: Path, name: str, kind: str) -> None:
    descriptor = tmp_path / "x.yml"
    descriptor.write_text("name: x\nsuites: [bookworm]\narchitectures: [amd64]\nscript: 'true'\n")
    place = tmp_path / "w" / name
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(name if kind == "loop" else "/nonexistent/x")
    code, said = ended(tmp_path, '"$@"', "gbuild.cli.gbuild", "--workspace", "w", str(descriptor))
    assert code == 3, said
    assert name in said
    assert "move it away" in said or "No such file" in said
    assert kind != "file" or place.read_text() == "mine"
