"""Read a ZIP that somebody else made: plain files only, everything bounded, nothing written.

Read are members that are stored or deflated. Refused is the whole ZIP when two names are one file
to somebody, when a name leaves its folder, and when its directory is larger than any honest one.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

from gbuild.host.foreign import Refused
from gbuild.host.tarball import parts
from gbuild.model.sigs_layout import collisions

MAX_MEMBERS = 20_000
_LARGEST_READ = 8 << 20
"""Bytes of the directory at the end, which is read at once; 20,000 long names have 5 MB."""
_PIECE = 1 << 20
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    UnicodeError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class Zipped:
    """An open ZIP: its files by their paths."""

    def __init__(self, archive: zipfile.ZipFile, what: str) -> None:
        self._archive = archive
        self._what = what
        self._members = _members(archive, what)

    def names(self) -> tuple[str, ...]:
        """Return the paths of all plain files, sorted."""
        return tuple(sorted(self._members))

    def read(self, name: str, *, limit: int) -> bytes:
        """Return a file's bytes.

        Raises:
            Refused: it is not there, damaged, or longer than ``limit`` bytes.
        """
        data = bytearray()
        for piece in self.pieces(name):
            data += piece
            if len(data) > limit:
                raise Refused(f"{name} in {self._what} is longer than {limit} bytes")
        return bytes(data)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes as they are unpacked; whoever takes them stops when it is enough.

        Raises:
            Refused: it is not there, damaged, encrypted, or packed in a way that is not read.
        """
        member = self._members.get(name)
        if member is None:
            raise Refused(f"{self._what} has no {name}")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            raise Refused(f"{name} in {self._what} is encrypted, or packed in an unusual way")
        try:
            with self._archive.open(member) as stream:
                while piece := stream.read(_PIECE):
                    yield piece
        except _DAMAGED as error:
            raise Refused(f"{name} in {self._what} is damaged: {str(error)[:200]!a}") from error


@contextmanager
def opened(stream: BinaryIO, *, what: str) -> Iterator[Zipped]:
    """Open a ZIP.

    Args:
        stream: its bytes; can be positioned.
        what: how to call it in errors.

    Raises:
        Refused: it is none, or not one that is taken.
    """
    try:
        archive = zipfile.ZipFile(cast("BinaryIO", _Bounded(stream, what)))
    except (*_DAMAGED, OSError) as error:
        raise Refused(f"{what} is no ZIP that can be read: {str(error)[:200]!a}") from error
    with archive:
        yield Zipped(archive, what)


class _Bounded:
    """The part of a file that :mod:`zipfile` uses; never gives very much at once."""

    def __init__(self, stream: BinaryIO, what: str) -> None:
        self._stream = stream
        self._what = what
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        most = _LARGEST_READ + 1
        data = self._stream.read(most if size < 0 else min(size, most))
        if len(data) == most:
            raise Refused(f"{self._what} has a directory of more than {_LARGEST_READ} bytes")
        return data

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Leave the stream to whoever opened it."""


def _members(archive: zipfile.ZipFile, what: str) -> Mapping[str, zipfile.ZipInfo]:
    if len(archive.filelist) > MAX_MEMBERS:
        raise Refused(f"{what} holds more than {MAX_MEMBERS} names")
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.filelist:
        name = "/".join(parts(member.orig_filename.removesuffix("/"), what))
        if name in found:
            raise Refused(f"{what} holds a name twice: {name[:80]!a}")
        found[name] = member
    if alike := collisions(found):
        raise Refused(f"{what} holds names that differ only in case: {min(alike)[:80]!a}")
    return {name: member for name, member in found.items() if _is_file(member)}


def _is_file(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    return not member.is_dir() and stat.S_IFMT(mode) in {0, stat.S_IFREG}
