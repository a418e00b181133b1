"""Which images the store has, whether they are whole, and removing those nobody uses."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Busy, GbuildError
from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.image.unpacked import lock_name, rehash, remove_tree
from gbuild.model.event import Event, Sink

_STALE = 86400
"""Seconds after which a file that was being written belongs to nobody any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image in the store; ``size`` (bytes) is of its tar.

    ``date`` (its SOURCE_DATE_EPOCH) and ``used`` are seconds since the epoch; ``maps`` names the
    maps of users for which it is unpacked.
    """

    key: str
    label: str
    sha256: str
    recipe: int
    size: int
    date: int
    used: float
    maps: tuple[str, ...]


def images(store: Store) -> tuple[StoredImage, ...]:
    """List the images, least recently used first; a record that cannot be read is skipped."""
    found = (_stored(folder, store) for folder in (store.root / "images").iterdir())
    return tuple(sorted((one for one in found if one), key=lambda one: one.used))


def _stored(folder: Path, store: Store) -> StoredImage | None:
    record = folder / "image.json"
    try:
        fields = json.loads(record.read_bytes())
        tar = store.blob(fields["sha256"])
        return StoredImage(
            key=folder.name,
            label=fields["label"],
            sha256=fields["sha256"],
            recipe=fields["recipe"],
            size=tar.stat().st_size if tar.exists() else 0,
            date=fields["date"],
            used=record.stat().st_mtime,
            maps=tuple(sorted(path.name for path in folder.iterdir() if path.is_dir())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(image: StoredImage, store: Store, *, idmap: IdMap) -> None:
    """Hash an image's tar and its tree for this map again, byte by byte.

    Raises:
        WrongHash: one of them was changed; a damaged tar is removed.
    """
    with store.lock(lock_name(image.key, idmap.label), shared=True):
        store.verified(image.sha256)
        root = store.root / "images" / image.key / idmap.label / "root"
        if root.is_dir():
            rehash(root, sha256=image.sha256, date=image.date, idmap=idmap)


def prune(
    store: Store, *, idmap: IdMap, sink: Sink, unused_for: float, now: float | None = None
) -> tuple[StoredImage, ...]:
    """Remove images that were not used for ``unused_for`` seconds; return them.

    Images in use are left alone and named in a warning. What killed runs left half-made goes too.
    """
    moment = time.time() if now is None else now
    _sweep(store, idmap, moment)
    old = [one for one in images(store) if one.used <= moment - unused_for]
    return tuple(one for one in old if _removed(one, store, idmap, sink))


def remove(
    store: Store, keys: Collection[str], *, idmap: IdMap, sink: Sink
) -> tuple[StoredImage, ...]:
    """Remove images by their keys and return those that are gone, as :func:`prune` does."""
    wanted = [one for one in images(store) if one.key in keys]
    return tuple(one for one in wanted if _removed(one, store, idmap, sink))


def _removed(image: StoredImage, store: Store, idmap: IdMap, sink: Sink) -> bool:
    folder = store.root / "images" / image.key
    try:
        with ExitStack() as locks:
            locks.enter_context(store.lock(f"image-{image.key}", wait=0))
            for label in image.maps:
                locks.enter_context(store.lock(lock_name(image.key, label), wait=0))
            for label in image.maps:
                (folder / f"{label}.stamp").unlink(missing_ok=True)
                remove_tree(folder, label, idmap=idmap)
            (folder / "image.json").unlink()
            store.blob(image.sha256).unlink(missing_ok=True)
            shutil.rmtree(folder)
    except (Busy, OSError, GbuildError) as error:
        why = error.brief if isinstance(error, GbuildError) else str(error)
        sink(Event("warning", f"the image of {image.label} stays: {why}"))
        return False
    return True


def _sweep(store: Store, idmap: IdMap, moment: float) -> None:
    """Remove half-made trees (``<map>.<random>``) and whatever nobody writes any more in tmp/."""
    for folder in (store.root / "images").iterdir():
        for path in _older(folder, lambda p: p.is_dir() and "." in p.name, moment):
            remove_tree(folder, path.name, idmap=idmap)
    for path in _older(store.root / "tmp", lambda _: True, moment):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _older(folder: Path, wanted: Callable[[Path], bool], moment: float) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if wanted(path) and os.lstat(path).st_mtime < moment - _STALE:
            yield path
