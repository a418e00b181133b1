"""A machine of VirtualBox made from the lock builds what every other target does (the stand-in)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import Result

if TYPE_CHECKING:
    from .conftest import Commands, Project

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.backend("virtualbox")]

_PROGRAM = Path(__file__).parents[1] / "integration" / "virtualbox" / "standin" / "VBoxManage"
_SCRIPT = """\
id -un > "$OUTDIR/said"; pwd >> "$OUTDIR/said"; hostname >> "$OUTDIR/said"
dpkg-query -W | sha256sum >> "$OUTDIR/said"
ls -d /* /etc/* | sha256sum >> "$OUTDIR/said"
cut -d: -f1 /proc/net/dev | tail -n +3 >> "$OUTDIR/said"
printf 'int main(void) { return 0; }' > a.c; gcc -o "$OUTDIR/a" a.c
"""


@pytest.fixture
def vbox(commands: Commands) -> Iterator[Commands]:
    """Commands of a person with VirtualBox; below /dev/shm an overlay keeps what is written."""
    if shutil.which("pasta") is None:
        pytest.skip("passt is not installed")
    home = Path(tempfile.mkdtemp(prefix="gbuild-virtualbox-", dir="/dev/shm"))
    person = replace(commands, environment={**commands.environment, "VBOX_USER_HOME": str(home)})
    yield person
    for line in _machines(person, "runningvms"):  # a test failed
        _manage(person, "controlvm", line.split('"')[1], "poweroff")
    shutil.rmtree(home)


def test_a_build_is_the_same_in_a_machine_made_from_the_lock(
    project: Project, vbox: Commands, place: Path
) -> None:
    path = project.describe(_SCRIPT)
    project.gbuild(path)
    for part in project.root.glob("small.*"):
        shutil.copy(part, place)
    chosen = ("--backend", "virtualbox", "--backend-option", f"program={_PROGRAM}")
    try:
        for _ in range(2):
            made = vbox.run("gbase", "make", *chosen, place / path.name, cwd=place)
            assert "ready for virtualbox" in made.stdout
        assert len(_machines(vbox)) == 1
        vbox.run("gbuild", "--workspace", place, *chosen, place / path.name, cwd=place)
        assert Result.of(place, "small") == Result.of(project.root, "small")
        assert "lo" in (place / "build" / "out" / "said").read_text().split()[-1:]
        listed = vbox.run("gbase", "list", *chosen, cwd=place).stdout
        assert any("virtualbox" in line.split() for line in listed.splitlines())
    finally:
        vbox.run("gbase", "remove", "bookworm-amd64", *chosen, cwd=place)
    assert _machines(vbox) == []
    assert not list((vbox.store / "virtualbox").glob("*/*"))


def _machines(vbox: Commands, which: str = "vms") -> list[str]:
    return _manage(vbox, "list", which).splitlines()


def _manage(vbox: Commands, *words: str) -> str:
    done = subprocess.run(
        [str(_PROGRAM), *words], env=vbox.env(), check=True, capture_output=True, text=True
    )
    return done.stdout
