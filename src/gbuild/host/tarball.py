"""Unpack a compressed tar file that somebody else made: plain files only, everything bounded."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from gbuild.host.foreign import Refused

MAX_UNPACKED = 1 << 30
MAX_MEMBERS = 200_000
MAX_MEMBER = 64 << 20
_LONGEST = 4096
_LONGEST_PART = 255
_LARGEST_HEADER = 1 << 16
_HEADERS = frozenset({b"L", b"K", b"x", b"g", b"X"})
"""Members that hold names and other facts of the next one; they are read into memory at once."""
_DAMAGED = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    UnicodeError,
    RecursionError,  # a chain of headers, one within the other
    ValueError,
    OverflowError,
)


def unpack(data: bytes, dest: Path, *, what: str) -> None:
    """Write the plain files of a ``.tar.gz`` below an empty folder.

    Links, devices and everything else that is no file are left out: a tree of signatures has no
    use for them.

    Args:
        data: the file's bytes.
        dest: where to.
        what: how to call it in errors.

    Raises:
        Refused: it is damaged, or holds more than any honest tree, or a name that is odd or
            stands there twice.
    """
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            _write(_Bounded(stream, what), dest, what)
    except _DAMAGED as error:
        raise Refused(f"{what} is no tar.gz file that can be read: {error}") from error


class _Bounded(io.RawIOBase):
    """Gives the unpacked bytes, until they are too many."""

    def __init__(self, stream: gzip.GzipFile, what: str) -> None:
        self._stream = stream
        self._what = what
        self._left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise Refused(f"{self._what} holds more than {MAX_UNPACKED >> 20} MiB")
        return data


class _Member(tarfile.TarInfo):
    """A member whose headers are of a sensible size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return] # in no stub


def _write(stream: _Bounded, dest: Path, what: str) -> None:
    with tarfile.open(
        fileobj=stream, mode="r|", encoding="utf-8", errors="strict", tarinfo=_Member
    ) as archive:
        for number, member in enumerate(archive):
            if number >= MAX_MEMBERS:
                raise Refused(f"{what} holds more than {MAX_MEMBERS} names")
            if member.isreg() and not member.issparse():
                if member.size > MAX_MEMBER:
                    raise Refused(f"{what} holds a file of {member.size} bytes")
                content = archive.extractfile(member)
                path = dest.joinpath(*parts(member.name, what))
                _put(path, b"" if content is None else content.read(), what)


def parts(name: str, what: str) -> Iterator[str]:
    """Yield the components of a member's name.

    Raises:
        Refused: it leaves its folder, is too long, or is not what it looks like.
    """
    if len(name) > _LONGEST or not name.isprintable() or "\\" in name:
        raise Refused(f"{what} holds a name that is not taken: {name[:80]!a}")
    for part in name.removeprefix("./").split("/"):
        odd = part in {"", ".", ".."} or part.lower() == ".git"
        if odd or len(part.encode()) > _LONGEST_PART:
            raise Refused(f"{what} holds a name that is not taken: {name[:80]!a}")
        yield part


def _put(path: Path, data: bytes, what: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(data)
    except (FileExistsError, NotADirectoryError) as error:
        raise Refused(f"{what} holds a name twice: {path.name!a}") from error
