"""What is made once: used as it was made, made anew when it was changed, never half."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gbuild.backends.kvm import kept
from gbuild.backends.kvm.pieces import Pieces
from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.model.event import Event


class Made:
    """A store's pieces, and how often one was made."""

    def __init__(self, root: Path) -> None:
        self.told: list[Event] = []
        self.times = 0
        self.store = Store(root)
        self.pieces = Pieces(self.store, {}, self.told.append)

    def ask(self) -> Path:
        def make(folder: Path) -> None:
            self.times += 1
            (folder / "disk.raw").write_bytes(b"disk")
            (folder / "label.txt").write_text("bookworm-amd64\n")

        return self.pieces._made("disks", "key", make, "the disk") / "disk.raw"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "store")


def test_what_is_whole_is_made_once(made: Made) -> None:
    assert made.ask() == made.ask()
    assert (made.times, made.told) == (1, [])


def _write(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"DISK")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"disk")


@pytest.mark.parametrize("change", [_write, _replace, lambda path: path.chmod(0o600)])
def test_what_was_changed_is_made_anew_and_told(
    made: Made, change: Callable[[Path], object]
) -> None:
    change(made.ask())
    assert made.ask().read_bytes() == b"disk"
    assert made.times == 2
    assert [event.text for event in made.told] == [
        "the disk was changed since it was made: making it anew"
    ]


def test_what_has_no_stamp_is_made_anew(made: Made) -> None:
    """As a killed process, or an older gbuild, leaves it."""
    made.ask().parent.with_name("key.stamp").unlink()
    assert made.pieces.prepared() == ()
    made.ask()
    assert (made.times, made.told) == (2, [])


def test_the_list_says_when_a_piece_was_used(made: Made) -> None:
    kept.touch(made.ask().parent)
    [found] = made.pieces.prepared()
    assert (found.key, found.label) == ("key", "bookworm-amd64")
    assert made.ask().exists()
    assert made.times == 1


def test_discarding_takes_all_of_it(made: Made) -> None:
    folder = made.ask().parent
    assert made.pieces.discard("key", used=lambda _: False, idle=lambda: True)
    assert list(folder.parent.iterdir()) == []


def test_a_failure_leaves_nothing(made: Made) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(BackendFailure, match="cannot be made") as caught:
        made.pieces._made("disks", "key", make, "the disk")
    assert caught.value.details == ("[Errno 28] No space left on device",)
    assert list((made.store.root / "kvm" / "disks").iterdir()) == []


def test_prune_takes_what_nobody_makes_any_more(made: Made) -> None:
    root = made.store.root / "kvm"
    parts = [root / "disks" / "a~1", root / "boot" / "b~2", root / "saved" / "gb-0~"]
    for part in parts:
        (part / "x").mkdir(parents=True)
    with made.store.lock(Pieces.lock_name("disks", "a"), wait=0):
        assert set(made.pieces.prune(lambda: {"gb-0"})) == {str(parts[1])}
    assert set(made.pieces.prune(set)) == {str(parts[0]), str(parts[2])}
    made.ask()
    assert list(made.pieces.prune(set)) == []
    assert [one.exists() for one in parts] == [False] * 3
