"""Trees to tar: the same tree gives the same bytes, and odd files survive or are refused."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from gbuild.image.inside.archive import Odd, Packer
from gbuild.image.inside.stamp import stamp


def pack(root: Path, latest: int = 1_000_000_000) -> bytes:
    with tempfile.TemporaryFile() as out:
        Packer(out.fileno(), latest=latest).pack(str(root))
        out.seek(0)
        return out.read()


def listed(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "b").mkdir(parents=True)
    (root / "b/file").write_bytes(b"content")
    (root / "a").symlink_to("/etc/shadow")
    os.link(root / "b/file", root / "b/twin")
    os.mkfifo(root / "pipe")
    (root / ("long" * 50)).write_bytes(b"x" * 1025)
    (root / os.fsdecode(b"odd-\xff")).write_bytes(b"")
    os.chmod(root / "b/file", 0o4755)
    return root


def test_everything_is_in_it_sorted_and_links_are_not_followed(tree: Path) -> None:
    data = pack(tree)
    found = listed(data)
    assert list(found)[:5] == [".", "a", "b", "b/file", "b/twin"]
    assert found["a"].issym()
    assert found["a"].linkname == "/etc/shadow"
    assert found["b/file"].mode == 0o4755
    assert found["b/twin"].islnk()
    assert found["b/twin"].linkname == "b/file"
    assert found["pipe"].isfifo()
    assert found["long" * 50].size == 1025
    assert os.fsdecode(b"odd-\xff") in found
    assert len(data) % tarfile.RECORDSIZE == 0


def test_bytes_do_not_depend_on_when_where_or_in_which_order(tree: Path, tmp_path: Path) -> None:
    first = pack(tree)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (time.time(), time.time() + 5))
    again = tmp_path / "elsewhere"
    tree.rename(again)
    assert pack(again) == first


def test_times_before_the_latest_are_kept_and_later_ones_cut(tree: Path) -> None:
    os.utime(tree / "b/file", (5, 5))
    found = listed(pack(tree, latest=1000))
    assert (found["b/file"].mtime, found["a"].mtime) == (5, 1000)
    assert not found["a"].uname


def test_a_hole_does_not_fill_the_hosts_disk(tree: Path) -> None:
    os.truncate(tree / "b/file", 1 << 40)
    with tempfile.TemporaryFile() as out, pytest.raises(Odd, match="larger than 1048576 bytes"):
        Packer(out.fileno(), latest=0, largest=1 << 20).pack(str(tree))


def test_a_socket_is_refused_by_name(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tree / "b/sock"))
    with pytest.raises(Odd, match="/b/sock"):
        pack(tree)


@pytest.mark.parametrize("what", ["content", "mode", "time back", "gone", "new", "replaced"])
def test_the_stamp_shows_every_change(tree: Path, what: str) -> None:
    path = tree / "b/file"
    before = os.stat(path)
    noted = stamp(str(tree))
    assert stamp(str(tree)) == noted
    match what:
        case "content":
            path.write_bytes(b"changed")
        case "mode":
            os.chmod(path, 0o755)
        case "time back":
            path.write_bytes(b"CONTENT")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "gone":
            (tree / "a").unlink()
        case "new":
            (tree / "b/new").touch()
        case _:
            (tree / "a").unlink()
            (tree / "a").symlink_to("/etc/passwd")
    assert stamp(str(tree)) != noted
