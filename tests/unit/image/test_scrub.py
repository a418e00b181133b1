"""What is written into a tree after foreign code was in it: nothing there can hang or mislead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gbuild.image.inside import bootstrap


def test_a_fifo_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "locale.gen"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):
        bootstrap._append(str(pipe), "text")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="not a plain file"):
        bootstrap._append(str(pipe), "text")
    os.close(reader)


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        bootstrap._append(str(link), "text")
    bootstrap._write(str(link), b"new")
    assert (outside.read_text(), link.read_bytes()) == ("kept", b"new")
    assert not link.is_symlink()


def test_a_hole_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    hole = tmp_path / "hole"
    hole.touch()
    os.truncate(hole, 1 << 40)
    with hole.open("rb") as stream, pytest.raises(OSError, match="sensible size"):
        bootstrap._require_plain(stream.fileno(), "status")


def test_logs_go_and_empty_files_stay(tmp_path: Path) -> None:
    (tmp_path / "apt").mkdir()
    for name in ("dpkg.log", "apt/term.log"):
        (tmp_path / name).write_text("said")
    (tmp_path / "btmp").touch()
    bootstrap._remove_logs(str(tmp_path))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["apt", "btmp"]
