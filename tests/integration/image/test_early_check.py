"""A tree that is checked while the process does something else: the same word as without."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure
from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.image import unpacked
from gbuild.image.copies import Copies
from gbuild.image.inside.stamp import stamp
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.model.lock import Environment

pytestmark = [pytest.mark.integration, pytest.mark.root]

KEY = "1" * 64
MAP = IdMap(uids=((0, 100000, 65536),), gids=((0, 100000, 65536),), label="test")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def image(store: Store) -> Image:
    """Return an image whose tree is there, with its stamp."""
    environment = Environment(
        distro="debian",
        suite="bookworm",
        arch="amd64",
        request=(),
        archives=(),
        packages=(),
    )
    sha256 = "2" * 64
    root = store.root / "images" / KEY / MAP.label / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/hostname").write_text("gitian\n")
    stamped = root.parents[1] / f"{MAP.label}.stamp"
    stamped.write_text(f"{sha256} {stamp(str(root))}")
    return Image(key=KEY, sha256=sha256, recipe=1, environment=environment, tar=store.blob(sha256))


def tree_of(store: Store) -> Path:
    return store.root / "images" / KEY / MAP.label / "root"


def check(image: Image, store: Store) -> bool:
    return unpacked.EarlyCheck(image.key, image.sha256, store=store, idmap=MAP).passed(image)


def test_a_tree_as_it_was_unpacked_passes(image: Image, store: Store) -> None:
    assert check(image, store)


def test_a_changed_tree_does_not(image: Image, store: Store) -> None:
    (tree_of(store) / "etc/hostname").write_text("evil!!\n")
    assert not check(image, store)


def test_a_tree_that_another_process_makes_does_not(image: Image, store: Store) -> None:
    with store.lock(unpacked.lock_name(KEY, MAP.label)):
        assert not check(image, store)


def test_a_tree_that_is_not_there_does_not(image: Image, store: Store) -> None:
    (store.root / "images" / KEY / f"{MAP.label}.stamp").unlink()
    assert not check(image, store)


def test_an_old_result_does_not_count(
    image: Image, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = unpacked.EarlyCheck(image.key, image.sha256, store=store, idmap=MAP)
    assert early.passed(image)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    assert not early.passed(image)


def test_the_result_of_another_image_does_not_count(image: Image, store: Store) -> None:
    early = unpacked.EarlyCheck(image.key, image.sha256, store=store, idmap=MAP)
    assert not early.passed(replace(image, sha256="3" * 64))
    assert not early.passed(replace(image, key="3" * 64))


def test_a_change_after_an_old_result_is_found(
    image: Image, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[bool] = []
    monkeypatch.setattr(unpacked._Unpacked, "renew", lambda *_: renewed.append(True))
    copies = Copies(
        store=store, environment={}, sink=discard, scratch=store.root / "scratch", trees=None
    )
    monkeypatch.setattr(Copies, "idmap", MAP)
    copies.prepare(image)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    (tree_of(store) / "etc/hostname").write_text("evil!!\n")
    with pytest.raises(BackendFailure, match="changes while nobody may write"), copies.tree(image):
        pass
    assert renewed


def test_the_image_that_was_used_last_is_checked_ahead(
    image: Image, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"date": 0, "label": "bookworm-amd64", "recipe": 1, "sha256": image.sha256}
    (store.root / "images" / KEY / "image.json").write_text(json.dumps(record))
    monkeypatch.setattr(Copies, "idmap", MAP)
    monkeypatch.setattr(unpacked, "stamp", lambda _root: pytest.fail("checked in this process"))
    copies = Copies(store=store, environment={}, sink=discard, scratch=store.root / "scratch")
    copies.hurry()
    copies.prepare(image)
    with copies.tree(image) as tree:
        assert (tree / "etc/hostname").read_text() == "gitian\n"
