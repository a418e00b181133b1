"""Packages on the way into a tree: decompressed side by side, the first ones laid out by hand."""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import sys
import tarfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from gbuild.host.deb import DamagedPackage, members, unzstd

_PIECE = 1 << 20
_MAGIC = b"!<arch>\n"
_OPENERS: dict[str, Callable[[], Any]] = {
    ".bz2": bz2.BZ2Decompressor,
    ".gz": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    ".lzma": lzma.LZMADecompressor,
    ".xz": lzma.LZMADecompressor,
}
"""Decompressors by the ending of a member's name (deb(5)); their methods are the same."""


def in_child(work: Callable[[], None]) -> int:
    """Fork; the child does ``work`` and ends; return its pid."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - a forked child must never return to its caller's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def finish(children: Sequence[int]) -> None:
    """Wait for children of :func:`in_child`; the first that failed is an error."""
    failed = [child for child in children if os.waitpid(child, 0)[1] != 0]
    if failed:
        raise ChildProcessError("a step of the image failed; its traceback is above")


def wait_for(paths: Sequence[str], children: Sequence[int]) -> None:
    """Wait until every path exists; a child that failed first is an error."""
    for path in paths:
        while not os.path.exists(path):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None and ended.si_pid in children and ended.si_status:
                finish([ended.si_pid])
            time.sleep(0.005)


def below(root: str, work: Callable[[], None]) -> int:
    """Do ``work`` in a child whose root is ``root``: no name and no link leads outside."""

    def shut_in() -> None:
        os.chroot(root)
        os.chdir("/")
        work()

    return in_child(shut_in)


def decompress_all(
    debs: Sequence[tuple[str, str]], *, blobs: int, target: str, workers: int
) -> list[int]:
    """Start children that write each deb (blob, name) into ``target`` with its data unpacked.

    Each child takes the next one from a pipe; a file has its name when it is whole.
    """
    reading, writing = os.pipe()

    def work() -> None:
        os.close(writing)
        while number := os.read(reading, 4):
            blob, name = debs[int.from_bytes(number, "big")]
            _decompress(blob, blobs, f"{target}/{name}")

    children = [in_child(work) for _ in range(min(workers, len(debs)))]
    os.close(reading)
    os.write(writing, b"".join(n.to_bytes(4, "big") for n in range(len(debs))))
    os.close(writing)
    return children


def _decompress(blob: str, blobs: int, path: str) -> None:
    source = os.open(f"{blob[:2]}/{blob}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=blobs)
    with os.fdopen(source, "rb") as deb, open(path + ".part", "wb") as out:
        found = members(deb)
        out.write(_MAGIC)
        for name, (offset, size) in found.items():
            deb.seek(offset)
            if name.startswith("data.tar"):
                _member(out, "data.tar", unpacked(deb, name, size))
            else:
                _member(out, name, iter([deb.read(size)]))
    os.rename(path + ".part", path)


def _member(out: BinaryIO, name: str, pieces: Iterator[bytes]) -> None:
    """Write an ar member; its size is filled in when it is known."""
    start = out.tell()
    out.write(bytes(60))
    size = 0
    for piece in pieces:
        out.write(piece)
        size += len(piece)
    out.write(b"\n" * (size % 2))
    out.seek(start)
    out.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{size:<10}`\n".encode())
    out.seek(0, os.SEEK_END)


def unpacked(stream: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    """Yield the bytes of a compressed member of ``size`` bytes, piece by piece."""
    ending = name.removeprefix("data.tar")
    if ending == ".zst":
        yield unzstd(stream.read(size), name)
        return
    pieces = _pieces(stream, size)
    if not ending:
        yield from pieces
        return
    if ending not in _OPENERS:
        raise DamagedPackage(f"{name} is compressed in a way that is not known here")
    opened = _OPENERS[ending]()
    for piece in pieces:
        yield opened.decompress(piece)
    if not opened.eof:
        raise DamagedPackage(f"{name} is cut off")


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, _PIECE))
        if not piece:
            raise DamagedPackage("the package is cut off")
        size -= len(piece)
        yield piece


def lay_out(deb: BinaryIO) -> None:
    """Unpack the data of a decompressed deb into the root directory."""
    offset, _size = members(deb)["data.tar"]
    deb.seek(offset)
    with tarfile.open(fileobj=deb, mode="r|", errorlevel=2) as archive:
        for member in archive:
            _place(archive, member)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = "/" + member.name.removeprefix("./").strip("/")
    if member.isdir():
        if not os.path.isdir(path):  # a link to a folder stays: /bin -> usr/bin
            os.mkdir(path)
        elif os.path.islink(path):
            return
    elif member.issym():
        if os.path.lexists(path):
            if os.path.isdir(path) and os.path.isdir(os.path.join("/", member.linkname)):
                return
            os.unlink(path)
        os.symlink(member.linkname, path)
    elif member.islnk():
        os.link("/" + member.linkname.removeprefix("./"), path)
        return
    elif member.isreg():
        _file(archive, member, path)
    else:
        raise DamagedPackage(f"{member.name} is neither a file, a folder nor a link")
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        os.chmod(path, member.mode)
    os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    content = archive.extractfile(member)
    if content is None:
        raise DamagedPackage(f"{member.name} has no content")
    with open(path, "wb") as out:
        shutil.copyfileobj(content, out, _PIECE)
