"""Files of this host as a tar stream for a target: nothing of the host in it but names and bytes.

Format: POSIX.1-1988 ustar as GNU tar extends it (tar(5): ``././@LongLink``, base-256 sizes).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gbuild.errors import HostFailure, UsageFailure

_BLOCK = 512
_PIECE = 256 * 1024
_RECORD = 10240
_NAME = 100
_MAGIC = b"ustar  \0"
_HEADER = struct.Struct("100s48s8sc100s255s")
"""Name, numbers (mode, owners, size, time), checksum, type, link's target, magic and the rest."""
_SUM = sum(_MAGIC) + 8 * 32
"""What the magic and eight blanks in place of the checksum give to the checksum."""


class TreeEntry(NamedTuple):
    """One file, folder or link: its name below the destination and where it lies here.

    ``kind`` is tar's type: ``0`` file, ``5`` folder, ``2`` symbolic link. A tuple, because
    twenty thousand of them are made a second.
    """

    name: bytes
    source: bytes
    kind: bytes = b"0"


class _Gone(Exception):
    """Nobody reads the stream any more; the other side says why."""


def file_entries(files: Iterable[tuple[Path, str]]) -> Iterator[TreeEntry]:
    """Yield files under new names, sorted by name."""
    for path, name in sorted(files, key=lambda pair: pair[1].encode()):
        yield TreeEntry(name.encode(), os.fsencode(path))


def tree_entries(source: Path) -> Iterator[TreeEntry]:
    """Yield everything below the folder ``source``, each folder sorted by name (bytes).

    Raises:
        UsageFailure: something is neither file, folder nor symbolic link.
    """
    yield from _below(os.fsencode(source), b"")


def send_tree(
    entries: Iterable[TreeEntry], write: Callable[[bytes | memoryview], bool], *, mtime: int
) -> None:
    """Write ``entries`` as one tar stream; stops quietly once ``write`` returns False.

    Raises:
        HostFailure: a file cannot be read, or changed while it was read.
    """
    sink = _Sink(write)
    headers = _Headers(mtime)
    try:
        for entry in entries:
            _send(entry, sink, headers)
        sink.add(b"\0" * (2 * _BLOCK))
        sink.add(b"\0" * (-sink.total % _RECORD))
        sink.flush()
    except _Gone:
        return
    except OSError as error:
        raise HostFailure(
            f"cannot read {os.fsdecode(error.filename or b'a file')}: {error.strerror}"
        ) from error


def _below(folder: bytes, prefix: bytes) -> Iterator[TreeEntry]:
    with os.scandir(folder) as listing:
        found = sorted(listing, key=lambda item: item.name)
    for item in found:
        name = prefix + item.name
        if item.is_symlink():
            yield TreeEntry(name, item.path, b"2")
        elif item.is_dir():
            yield TreeEntry(name, item.path, b"5")
            yield from _below(item.path, name + b"/")
        elif item.is_file():
            yield TreeEntry(name, item.path)
        else:
            raise UsageFailure(
                f"{os.fsdecode(item.path)} is neither a file, a folder nor a symbolic link"
            )


def _send(entry: TreeEntry, sink: _Sink, headers: _Headers) -> None:
    if entry.kind == b"5":
        sink.add(headers.of(entry.name + b"/", b"5", 0o755))
    elif entry.kind == b"2":
        sink.add(headers.of(entry.name, b"2", 0o777, link=os.readlink(entry.source)))
    else:
        _send_file(entry, sink, headers)


def _send_file(entry: TreeEntry, sink: _Sink, headers: _Headers) -> None:
    descriptor = os.open(entry.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UsageFailure(f"{os.fsdecode(entry.source)} is not a file")
        mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
        size = left = found.st_size
        sink.add(headers.of(entry.name, b"0", mode, size=size))
        while left and (count := sink.fill(descriptor, left)):
            left -= count
        if left or os.read(descriptor, 1):
            raise HostFailure(f"{os.fsdecode(entry.source)} changed while it was read")
    finally:
        os.close(descriptor)
    sink.add(b"\0" * (-size % _BLOCK))


class _Sink:
    """Gathers what is written in one buffer, so that 20,000 files are not 40,000 writes."""

    def __init__(self, write: Callable[[bytes | memoryview], bool]) -> None:
        self._write = write
        self._buffer = memoryview(bytearray(_PIECE))
        self._size = 0
        self.total = 0

    def add(self, data: bytes) -> None:
        """Write ``data``."""
        end = self._size + len(data)
        if end < _PIECE:
            self._buffer[self._size : end] = data
            self._size = end
            self.total += len(data)
            return
        while data:
            part = data[: _PIECE - self._size]
            self._buffer[self._size : self._size + len(part)] = part
            self._grow(len(part))
            data = data[len(part) :]

    def fill(self, descriptor: int, most: int) -> int:
        """Write what one read of a file gives; return its length, 0 at the end of the file."""
        end = min(_PIECE, self._size + most)
        count = os.readv(descriptor, [self._buffer[self._size : end]])
        self._grow(count)
        return count

    def flush(self) -> None:
        """Pass on what was gathered."""
        if self._size and not self._write(self._buffer[: self._size]):
            raise _Gone
        self._size = 0

    def _grow(self, count: int) -> None:
        self._size += count
        self.total += count
        if self._size == _PIECE:
            self.flush()


class _Headers:
    """Makes the block before each entry: numeric owner 0, one time for all."""

    def __init__(self, mtime: int) -> None:
        self._time = b"%011o\0" % max(0, mtime)

    def of(self, name: bytes, kind: bytes, mode: int, *, size: int = 0, link: bytes = b"") -> bytes:
        """Return the header, preceded by long-name entries where the fields are too short."""
        long = b""
        if len(link) > _NAME:
            long += self._long(b"K", link)
        if len(name) > _NAME:
            long += self._long(b"L", name)
        return long + self._block(name[:_NAME], kind, mode, size, link[:_NAME])

    def _long(self, kind: bytes, text: bytes) -> bytes:
        data = text + b"\0"
        block = self._block(b"././@LongLink", kind, 0o644, len(data), b"")
        return block + data + b"\0" * (-len(data) % _BLOCK)

    def _block(self, name: bytes, kind: bytes, mode: int, size: int, link: bytes) -> bytes:
        count = b"%011o\0" % size if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big")
        numbers = b"%07o\x000000000\x000000000\0%b%b" % (mode, count, self._time)
        total = sum(name) + sum(numbers) + sum(link) + kind[0] + _SUM
        return _HEADER.pack(name, numbers, b"%06o\0 " % total, kind, link, _MAGIC)
