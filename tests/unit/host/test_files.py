"""Files that came with somebody's sources: read whole, or refused at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gbuild.errors import Busy, HostFailure, UsageFailure
from gbuild.host.files import locked, read_small, write_atomically


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "b").symlink_to("a")
    assert read_small(tmp_path / "a") == read_small(tmp_path / "b") == b"data"
    assert read_small(tmp_path / "a", limit=4) == b"data"


def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"data")
    with pytest.raises(UsageFailure, match="longer than 3 bytes"):
        read_small(tmp_path / "a", limit=3)


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place = Path("/dev/zero")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(UsageFailure, match="not a regular file"):
        read_small(place)


def test_an_absent_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "none")


def test_a_full_disk_leaves_the_old_bytes_and_is_told_of_the_file_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(tmp_path / "a", b"new")
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_cannot_be_made_is_called_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "none" / "a", b"")
    assert caught.value.filename == str(tmp_path / "none" / "a")


def test_a_lock_is_held_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with (
        locked(tmp_path / "lock", what="it"),
        pytest.raises(Busy, match="it is in use by process unknown"),
        locked(tmp_path / "lock", what="it", wait=0),
    ):
        pass


def test_a_lock_names_its_holder(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", what="it"),
        pytest.raises(Busy, match=f"it is in use by process {os.getpid()}"),
        locked(tmp_path / "lock", what="it", wait=0),
    ):
        pass


def test_a_pipe_in_the_place_of_a_lock_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with (
        pytest.raises(HostFailure, match="not a regular file"),
        locked(tmp_path / "lock", what="it"),
    ):
        pass
