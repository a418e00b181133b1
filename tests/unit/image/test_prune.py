"""What killed runs leave in the store goes after a day, and not before."""

from __future__ import annotations

import os
import time
from pathlib import Path

from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.image.prune import prune
from gbuild.model.event import discard

_DAY = 86400


def test_what_nobody_writes_any_more_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    place = store.root / "tmp"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    for name in ("image-x", "partial-y", "new"):
        (place / name).write_text(name)
    (place / "folder/inside").mkdir(parents=True)
    (place / "link").symlink_to(outside)
    old = time.time() - _DAY - 60
    for name in ("image-x", "partial-y", "folder", "link"):
        os.utime(place / name, (old, old), follow_symlinks=False)
    idmap = IdMap(uids=((0, 100_000, 65536),), gids=((0, 100_000, 65536),), label="m")
    assert prune(store, idmap=idmap, sink=discard, unused_for=0) == ()
    assert [path.name for path in place.iterdir()] == ["new"]
    assert (outside / "kept").exists()
