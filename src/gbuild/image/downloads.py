"""Removing what was downloaded and not used for a while: packages, inputs, mirrors of git.

All of it can be fetched anew, from where it came from. A blob counts as used when its bytes were
last hashed for somebody (:meth:`gbuild.host.store.Store.verified`), a mirror when it was last read.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Busy
from gbuild.host.store import Store

_SHORTEST = 3600.0
"""Seconds: what was used since then may be in use now, by a run that only looked at its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """How many blobs and mirrors are gone, and how many bytes they had."""

    blobs: int
    mirrors: int
    size: int


def prune_downloads(store: Store, *, unused_for: float, now: float | None = None) -> Removed:
    """Remove blobs that are no image's and mirrors not used for so many seconds (an hour or more).

    A mirror that somebody reads stays.
    """
    moment = (time.time() if now is None else now) - max(unused_for, _SHORTEST)
    kept = _tars(store)
    blobs = [
        path
        for path in store.root.glob("blobs/[0-9a-f][0-9a-f]/*")
        if path.name not in kept and path.lstat().st_mtime <= moment
    ]
    size = sum(path.lstat().st_size for path in blobs)
    for path in blobs:
        path.unlink(missing_ok=True)
    old = [path for path in store.root.glob("git/*.git") if path.lstat().st_mtime <= moment]
    sizes = [freed for path in old if (freed := _discard(path, store)) is not None]
    return Removed(blobs=len(blobs), mirrors=len(sizes), size=size + sum(sizes))


def _tars(store: Store) -> frozenset[str]:
    """Return the sha256 of every image's tar: images go by themselves."""
    found = set()
    for record in store.root.glob("images/*/image.json"):
        try:
            found.add(str(json.loads(record.read_bytes())["sha256"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is being made or removed
    return frozenset(found)


def _discard(mirror: Path, store: Store) -> int | None:
    """Remove a mirror; return the bytes of its files, None when somebody reads it."""
    try:
        with store.lock(f"git-{mirror.stem}", wait=0):
            size = sum(path.lstat().st_size for path in mirror.rglob("*"))
            shutil.rmtree(mirror)
            return size
    except Busy:
        return None
