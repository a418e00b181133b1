"""Images as disks: the same bytes every time, every owner and mode as in the image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure
from gbuild.host.idmap import current
from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.image import unpacked
from gbuild.image.disk import make_disk
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.contract import small_image
from gbuild.target.contract.image import SET_UID

pytestmark = pytest.mark.root

_SIZE = 1 << 30


@pytest.fixture
def store(open_folder: Path) -> Store:
    return Store(open_folder / "store")


@pytest.fixture
def image(store: Store) -> Iterator[Image]:
    image = small_image(store)
    yield image
    unpacked.discard(image.key, store=store, idmap=current({}))


def _make(image: Image, path: Path, store: Store, size: int = _SIZE) -> None:
    make_disk(image, path, store=store, idmap=current({}), sink=discard, size=size)


def test_the_same_image_gives_the_same_disk(image: Image, store: Store, open_folder: Path) -> None:
    digests = set()
    for number in range(2):
        path = open_folder / f"{number}.raw"
        _make(image, path, store)
        tree = next((store.root / "images" / image.key).glob("*/root"))
        os.utime(tree / "usr" / "bin" / "bash", (number, number))  # read by somebody
        unpacked.discard(image.key, store=store, idmap=current({}))
        with path.open("rb") as stream:
            digests.add(hashlib.file_digest(stream, "sha256").hexdigest())
        assert path.stat().st_blocks * 512 < _SIZE // 8
    assert len(digests) == 1
    checked = run(("e2fsck", "-fn", open_folder / "1.raw"), check=False)
    assert checked.returncode == 0, checked.stdout
    told = run(("debugfs", "-R", f"stat /{SET_UID}", open_folder / "1.raw")).stdout.decode()
    assert "Mode:  04755" in told
    assert "User:     0   Group:     0" in told


def test_a_disk_without_room_is_told(image: Image, store: Store, open_folder: Path) -> None:
    with pytest.raises(BackendFailure, match="disk of none-amd64 could not be made"):
        _make(image, open_folder / "small.raw", store, size=64 << 20)
