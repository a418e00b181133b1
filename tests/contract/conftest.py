"""A store with a small image for every file: what one leaves in it is not the next one's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.host.idmap import current
from gbuild.host.store import Store
from gbuild.image.unpacked import remove_tree
from gbuild.model.image import Image
from gbuild.target.contract import small_image

collect_ignore = ["toy"]  # a package of its own: test_toy installs it and runs its test


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store that the mapped users can reach (pytest's own folders are 0700)."""
    folder = Path(tempfile.mkdtemp(prefix="gbuild-contract-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield Store(folder / "store")
    for image in (folder / "store" / "images").iterdir():
        for tree in [path for path in image.iterdir() if path.is_dir()]:
            remove_tree(tree.parent, tree.name, idmap=current(os.environ))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(store: Store) -> Image:
    return small_image(store)
