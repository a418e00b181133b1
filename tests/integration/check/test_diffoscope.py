"""diffoscope, shut in: what it says comes back, and hostile files and programs hold nothing up."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from gbuild.check.compare import compare
from gbuild.check.diffoscope import Diffoscope, program
from gbuild.host.inspect import LATE, Bounds, Inspected, inspect
from gbuild.model.comparison import Looked
from gbuild.ui import comparison_page

MEBI = 1 << 20


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "A", tmp_path / "B"
    for number, folder in enumerate(folders, 1):
        folder.mkdir()
        (folder / "note.bin").write_text(f"build {number} of \x1b]0;title\x07 <script>x</script>\n")
    return folders


def asked(tmp_path: Path, script: str, **bounds: int) -> Inspected:
    source = tmp_path / "plain"
    source.write_text("as it was")
    wanted = Bounds(seconds=120, scratch=16 * MEBI, report=MEBI, memory=256 * MEBI)
    limits = {name: bounds.get(name, getattr(wanted, name)) for name in Bounds.__slots__}
    return inspect(("sh", "-c", script), {"a/plain": source}, Bounds(**limits))


def test_its_report_is_kept_and_shown(sides: tuple[Path, Path], tmp_path: Path) -> None:
    found = program()
    if found is None:
        pytest.skip("diffoscope is not installed")
    keep = tmp_path / "kept"
    looked = compare(*sides, look=Diffoscope(found, keep=keep).look)
    [artifact] = looked.artifacts
    assert artifact.looked is not None
    assert artifact.looked.kept == str(keep / "note.bin.json")
    assert json.loads((keep / "note.bin.json").read_bytes())["diffoscope-json-version"] == 1
    page = comparison_page.page(looked)
    assert "+build 2 of \\x1b]0;title\\x07 &lt;script&gt;" in page
    assert "<script" not in page


def test_the_program_sees_copies_and_no_network_and_nothing_else_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "secret")
    script = (
        "cat a/plain; echo changed > a/plain; touch /usr/x; env; ls -d /root /home /etc/shadow;"
        "grep -c : /proc/net/dev; test $$ -lt 9 && echo alone"
    )
    done = asked(tmp_path, script)
    said = done.report.decode().splitlines()
    assert said[0].startswith("as it was")
    assert said[-2:] == ["1", "alone"]  # only lo
    assert "CANARY" not in done.report.decode()
    assert done.complaint.count("Read-only file system") == 2
    assert done.complaint.count("No such file or directory") == 3
    assert (tmp_path / "plain").read_text() == "as it was"


def test_what_it_writes_says_and_takes_is_bounded(tmp_path: Path) -> None:
    script = "head -c 64M /dev/zero > /tmp/x; echo; stat -c %s /tmp/x; yes"
    done = asked(tmp_path, script)
    assert done.report.startswith(b"\n%d\ny\n" % (8 * MEBI))
    assert (len(done.report), done.whole) == (MEBI, False)
    greedy = asked(tmp_path, "python3 -c 'print(len(bytes(1 << 30)))'")
    assert (greedy.report, "MemoryError" in greedy.complaint) == (b"", True)


def test_an_endless_program_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    done = asked(tmp_path, "setsid sleep 1000 & exec sleep 1000", seconds=1)
    assert done.status == LATE
    forking = asked(tmp_path, "for n in $(seq 40); do sleep 9 & done", processes=16)
    assert "ork" in forking.complaint


def test_when_the_time_is_over_nobody_is_asked(sides: tuple[Path, Path], tmp_path: Path) -> None:
    asker = Diffoscope(Path("/absent"), keep=tmp_path / "kept", seconds=0.5)
    [artifact] = compare(*sides, look=asker.look).artifacts
    assert artifact.looked is not None
    assert artifact.looked.note == "not asked: the 0.5 seconds are over"
    assert not (tmp_path / "kept").exists()


def test_two_are_asked_at_once_and_an_interruption_ends_both(
    sides: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in sides:
        shutil.copy(folder / "note.bin", folder / "other.bin")
    monkeypatch.setattr("gbuild.check.diffoscope._TIDY", ("-c", "sleep 600"))
    asker = Diffoscope(Path("/bin/sh"), keep=tmp_path / "kept", seconds=1200)
    both = threading.Barrier(2, timeout=120)

    def look(name: str, a: Path, b: Path) -> Looked:
        both.wait()
        if name == "note.bin":
            raise KeyboardInterrupt
        return asker.look(name, a, b)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        compare(*sides, look=look, end=asker.end)
    files = [folder / "note.bin" for folder in sides]
    assert "interrupted" in asker.look("note.bin", *files).note
    assert time.monotonic() - began < 300
