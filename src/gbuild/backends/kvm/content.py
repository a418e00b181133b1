"""What a file holds, hole or not: its blocks that are not all zero, and a digest over them.

A disk of an image is a file of 64 GiB that is nearly all holes. Where the holes lie depends on the
file system; which blocks hold nothing but zeros does not.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

BLOCK = 1 << 17
"""Bytes of a block: no more than libvirt takes in one message of a stream (262120)."""

_ZEROS = bytes(BLOCK)


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of every block of a file that is not all zero.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as stream:
        at = 0
        while (at := _data(stream.fileno(), at)) >= 0:
            stream.seek(at)
            block = stream.read(BLOCK)
            if not block:
                return
            if block != _ZEROS[: len(block)]:
                yield at, block
            at += len(block)


class Digest:
    """The sha256 of a file's size, and of offset and bytes of each block that is not all zero."""

    def __init__(self, size: int) -> None:
        self._sha256 = hashlib.sha256(size.to_bytes(8, "big"))

    def add(self, offset: int, block: bytes) -> None:
        """Add a block, in order."""
        self._sha256.update(offset.to_bytes(8, "big"))
        self._sha256.update(block)

    def hex(self) -> str:
        """Return it."""
        return self._sha256.hexdigest()


class Sorter:
    """Cuts what arrives in pieces of any length into blocks, for a digest."""

    def __init__(self, size: int) -> None:
        self._digest = Digest(size)
        self._at = 0
        self._held = bytearray()

    def data(self, piece: bytes) -> None:
        """Take bytes."""
        self._held += piece
        while len(self._held) >= BLOCK:
            self._flush(BLOCK)

    def hole(self, length: int) -> None:
        """Take a hole: so many bytes, all zero."""
        if self._held:
            part = min(length, BLOCK - len(self._held))
            self.data(bytes(part))
            length -= part
        whole = length - length % BLOCK
        self._at += whole
        self.data(bytes(length - whole))

    def hex(self) -> str:
        """Return the digest of all that arrived."""
        if self._held:
            self._flush(len(self._held))
        return self._digest.hex()

    def _flush(self, length: int) -> None:
        block = bytes(self._held[:length])
        del self._held[:length]
        if block != _ZEROS[:length]:
            self._digest.add(self._at, block)
        self._at += length


def digest_of(path: Path) -> str:
    """Return the digest of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = Digest(path.stat().st_size)
    for offset, block in blocks(path):
        digest.add(offset, block)
    return digest.hex()


def _data(descriptor: int, at: int) -> int:
    """Return where the block begins in which the next data lie, or -1."""
    try:
        return max(at, os.lseek(descriptor, at, os.SEEK_DATA) // BLOCK * BLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise
