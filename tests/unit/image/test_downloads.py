"""What was downloaded goes when nobody used it; images' tars and what is read stay."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from gbuild.host.git.mirror import Mirror
from gbuild.host.store import Store
from gbuild.image.downloads import Removed, prune_downloads

_DAY = 86400.0
_URL = "https://git.example.org/x.git"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def age(path: Path, days: float) -> None:
    then = time.time() - days * _DAY
    os.utime(path, (then, then))


def blob(store: Store, data: bytes, days: float) -> str:
    sha256 = store.add(data)
    age(store.blob(sha256), days)
    return sha256


def mirror(store: Store) -> Mirror:
    made = Mirror(store, _URL, local=False)
    made.path.mkdir()
    (made.path / "HEAD").write_bytes(b"12345")
    age(made.path, 40)
    return made


def test_old_blobs_go_and_others_stay(store: Store) -> None:
    old, new, tar = (blob(store, data, days) for data, days in ((b"o", 40), (b"n", 3), (b"t", 40)))
    folder = store.root / "images" / "key"
    folder.mkdir()
    (folder / "image.json").write_text(json.dumps({"sha256": tar}))
    (store.root / "images" / "half").mkdir()
    assert prune_downloads(store, unused_for=30 * _DAY) == Removed(blobs=1, mirrors=0, size=1)
    assert [store.has(one) for one in (old, new, tar)] == [False, True, True]


def test_what_was_used_is_not_old(store: Store) -> None:
    sha256 = blob(store, b"used again", 40)
    store.verified(sha256)
    assert prune_downloads(store, unused_for=0).blobs == 0
    assert store.has(sha256)


def test_an_old_mirror_goes(store: Store) -> None:
    made = mirror(store)
    assert prune_downloads(store, unused_for=30 * _DAY) == Removed(blobs=0, mirrors=1, size=5)
    assert not made.path.exists()
    assert list((store.root / "tmp").iterdir()) == []


def test_a_mirror_that_is_read_stays(store: Store) -> None:
    made = mirror(store)
    with made.reading():
        age(made.path, 40)
        assert prune_downloads(store, unused_for=30 * _DAY).mirrors == 0
    with made.reading():
        pass
    assert prune_downloads(store, unused_for=30 * _DAY).mirrors == 0
    assert made.exists
