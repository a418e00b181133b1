"""Reads the tar stream of a stranger: headers within limits, data as it comes.

Format: ustar as GNU tar extends it (tar(5)): 512-byte blocks, ``././@LongLink`` entries, base-256
numbers. Everything else that tar streams may hold (PAX, sparse, volumes) is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from gbuild.errors import BuildFailed

BLOCK = 512
LONGEST_NAME = 4096

Bytes = bytes | bytearray | memoryview

_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s")
_ZEROS = b"\0" * BLOCK
_MAGICS = (b"ustar  \0", b"ustar\x0000")
_LARGEST = 1 << 62
_TRAILER = 1 << 20
_KINDS = (b"0", b"2", b"5")
_REFUSED = {
    b"1": "a hard link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"S": "a sparse file",
    b"x": "a PAX header",
    b"g": "a PAX header",
}


class TreeRefused(BuildFailed):
    """What a target sent as a tree is not one that this host accepts."""


class Header(NamedTuple):
    """One entry: ``kind`` is ``0`` file, ``5`` folder or ``2`` symbolic link; size in bytes.

    A tuple, because twenty thousand of them are made a second.
    """

    name: bytes
    kind: bytes
    mode: int
    size: int
    link: bytes


def shown(name: bytes) -> str:
    """Return a name from a target as text that is safe to print."""
    return ascii(name.decode("utf-8", "replace"))


class TarReader:
    """Turns a stream of pieces into headers and data.

    Args:
        pull: returns the next bytes, none at the end; they are read before the next call.
    """

    def __init__(self, pull: Callable[[], Bytes]) -> None:
        self._pull = pull
        self._held = memoryview(b"")
        self._at = 0

    def headers(self) -> Iterator[Header]:
        """Yield the entries; the data of each must be read before the next is asked for.

        Raises:
            TreeRefused: the stream is damaged, ends early, or holds what is not accepted.
        """
        while (header := self._next_header()) is not None:
            yield header

    def data(self, size: int) -> Iterator[memoryview]:
        """Yield ``size`` bytes in pieces as they came, and skip the padding after them."""
        left = size
        while left:
            if self._at == len(self._held):
                self._refill()
            piece = self._held[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            yield piece
        if padding := -size % BLOCK:
            self._exactly(padding)

    def finish(self) -> None:
        """Read to the end of the stream, which may hold only zeros now."""
        seen = 0
        rest = bytes(self._held[self._at :])
        while True:
            seen += len(rest)
            if rest.strip(b"\0") or seen > _TRAILER:
                raise TreeRefused("the tar stream goes on after its end mark")
            if not (rest := bytes(self._pull())):
                return

    def _next_header(self) -> Header | None:
        names: dict[bytes, bytes] = {}
        while True:
            block = self._exactly(BLOCK)
            if block == _ZEROS:
                if names or self._exactly(BLOCK) != _ZEROS:
                    raise TreeRefused("the tar stream has a damaged end mark")
                return None
            header = _parse(block)
            if header.kind not in (b"L", b"K"):
                return _renamed(header, names)
            names[header.kind] = self._long_name(header, names)

    def _long_name(self, header: Header, names: dict[bytes, bytes]) -> bytes:
        if header.kind in names or not 0 < header.size <= LONGEST_NAME:
            raise TreeRefused(f"a name of {header.size} bytes in the tar stream")
        return b"".join(self.data(header.size)).rstrip(b"\0")

    def _exactly(self, count: int) -> bytes:
        at, held = self._at, self._held
        if len(held) - at >= count:
            self._at = at + count
            return bytes(held[at : at + count])
        parts = bytearray(held[at:])
        while len(parts) < count:
            self._refill()
            part = self._held[: count - len(parts)]
            self._at = len(part)
            parts += part
        return bytes(parts)

    def _refill(self) -> None:
        self._held, self._at = memoryview(self._pull()), 0
        if not self._held:
            raise EndsEarly("the tar stream ends in the middle")


class EndsEarly(TreeRefused):
    """The stream ended before its end mark."""


def _renamed(header: Header, names: dict[bytes, bytes]) -> Header:
    if names:
        header = header._replace(
            name=names.get(b"L", header.name), link=names.get(b"K", header.link)
        )
    if header.kind not in _KINDS:
        what = _REFUSED.get(header.kind, f"an entry of type {shown(header.kind)}")
        name = shown(header.name)
        raise TreeRefused(f"{name} is {what}; only files, folders and links are taken")
    if header.kind != b"0" and header.size:
        raise TreeRefused(f"{shown(header.name)} is no file but has data")
    return header


def _parse(block: bytes) -> Header:
    name, mode, _, _, size, _, total, kind, link, magic = _FIELDS.unpack_from(block)
    # most of a block is zeros, and to leave them out takes a tenth of the time to add them
    found = sum(block.replace(b"\0", b"")) - sum(total) + 8 * 32
    if magic not in _MAGICS or _number(total) != found:
        raise TreeRefused("the tar stream is damaged: not a header where one must be")
    if magic == _MAGICS[1] and block[345:500].strip(b"\0"):
        raise TreeRefused("the tar stream has a split name")
    kind = b"0" if kind == b"\0" else kind
    return Header(_text(name), kind, _number(mode), _number(size), _text(link))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


@lru_cache(maxsize=1024)
def _number(field: bytes) -> int:
    if field[0] == 0x80:
        value = int.from_bytes(field[1:], "big")
    else:
        digits = field.strip(b" \0")
        if not digits.isdigit() or b"8" in digits or b"9" in digits:
            raise TreeRefused(f"the tar stream has a number {shown(field)}")
        value = int(digits, 8)
    if value > _LARGEST:
        raise TreeRefused("the tar stream has a number beyond all sizes")
    return value
