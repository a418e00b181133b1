"""What the store says of a blob that it does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.errors import Unavailable
from gbuild.host.store import Store


def test_a_blob_that_is_gone_is_told_with_what_helps(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digest = store.add(b"an image")
    store.blob(digest).unlink()
    for use in (store.present, store.verified):
        with pytest.raises(Unavailable, match=digest) as gone:
            use(digest)
        assert "run the same command again" in (gone.value.hint or "")
