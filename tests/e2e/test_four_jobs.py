"""zlib on two suites and two architectures: four jobs of one run."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import DESCRIPTORS, RELEASES_ONLY

if TYPE_CHECKING:
    from tests.conftest import Common

    from .conftest import Commands

pytestmark = [pytest.mark.xdist_group("four jobs"), pytest.mark.slow]

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


def test_four_jobs_in_one_run(commands: Commands, locked_zlib: Path) -> None:
    words = ("zlib.yml", "--parallel", "2", "-j", "1", "--json")
    answer = commands.run("gbuild", *words, cwd=locked_zlib).answer
    assert [job["label"] for job in answer["jobs"]] == _LABELS
    assert len(answer["artifacts"]) == 8
    report = (locked_zlib / "result" / "zlib-res.yml").read_text()
    assert [f"- {label}: |" in report for label in _LABELS] == [True] * 4
    out = locked_zlib / "build" / "out"
    assert _elf(out / "libz-bookworm-32.so.1.2.13") == (1, 3)
    assert _elf(out / "libz-trixie-64.so.1.2.13") == (2, 62)

    one_by_one = commands.run("gbuild", "zlib.yml", "-j", "1", "--json", cwd=locked_zlib).answer
    assert one_by_one["artifacts"] == answer["artifacts"]
    assert (locked_zlib / "result" / "zlib-res.yml").read_text() == report


def test_a_killed_run_is_resumed(commands: Commands, locked_zlib: Path) -> None:
    words = ("zlib.yml", "-j", "1")
    with commands.start("gbuild", *words, cwd=locked_zlib) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "[bookworm-i386] running the build script" in line:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    answer = commands.run("gbuild", *words, "--resume", "--json", cwd=locked_zlib).answer
    assert [job["reused"] for job in answer["jobs"]] == [True, False, False, False]
    report = (locked_zlib / "result" / "zlib-res.yml").read_text()
    assert report.count("libz-") == 8
