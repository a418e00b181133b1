"""The digest of a tree is what its documentation says, and nothing else moves it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gbuild.errors import Unavailable
from gbuild.host.tree_digest import seal, tree_sha256


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "b/.git").mkdir(parents=True)
    (top / "b/.git/HEAD").write_text("x")
    (top / "b/file").write_text("one")
    (top / "b-").write_text("two")
    (top / "run").write_text("three")
    (top / "run").chmod(0o755)
    (top / "link").symlink_to("b/file")
    (top / os.fsdecode(b"odd\n\xff")).write_text("four")
    (top / "empty").mkdir()
    return top


def test_the_digest_can_be_computed_from_its_description(tree: Path) -> None:
    lines = [
        f"100644 {sha(b'two')} b-".encode(),
        f"100644 {sha(b'one')} b/file".encode(),
        f"120000 {sha(b'b/file')} link".encode(),
        f"100644 {sha(b'four')} odd\n".encode() + b"\xff",
        f"100755 {sha(b'three')} run".encode(),
    ]
    assert tree_sha256(tree) == sha(b"".join(line + b"\0" for line in lines))


def test_only_files_modes_and_links_move_it(tree: Path) -> None:
    sealed, before = seal(tree)
    assert before == tree_sha256(tree)
    os.utime(tree / "run", (1, 1))
    (tree / "b/.git/HEAD").write_text("y")
    (tree / "b/file").chmod(0o600)
    assert tree_sha256(tree) == before
    assert seal(tree)[0] != sealed
    assert seal(tree)[1] == before
    (tree / "b/file").chmod(0o744)
    assert tree_sha256(tree) != before


@pytest.mark.parametrize("name", ["run", "b/file", "b/.git/HEAD"])
def test_the_seal_sees_every_byte(tree: Path, name: str) -> None:
    before, status = seal(tree), (tree / name).stat()
    (tree / name).write_text("other")
    os.utime(tree / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert seal(tree)[0] != before[0]


def test_something_odd_is_named(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    with pytest.raises(Unavailable, match="fifo"):
        tree_sha256(tree)
