"""PDF and PNG files taken apart: what is packed in them is unpacked. Pure.

Formats: ISO 32000 (7.3.8, streams; 7.5.4, cross-reference table), PNG (RFC 2083, chunks).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from gbuild.check.diagnose.member import LARGEST, Container, Member, TooLarge

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_FOLLOWS = re.compile(rb"\d{10} \d{5} [nf][ \r]*\n|startxref\s+\d+|/Length \d+(?! \d+ R)")
"""Offsets and lengths, which follow what lies before them."""
_PACKED_TEXT = (b"zTXt", b"iTXt", b"tEXt")


def pdf(data: bytes) -> Container:
    """Unpack the streams of a PDF; offsets are left out."""
    pieces: list[bytes] = []
    at, left = 0, LARGEST
    for match in _STREAM.finditer(data):
        inner = inflated(match[1], left)
        left -= len(inner)
        pieces += [data[at : match.start(1)], inner, b"\n"]
        at = match.end(1)
    text = b"".join([*pieces, data[at:]])
    return Container("pdf", (Member("", _FOLLOWS.sub(b"", text)),))


def inflated(data: bytes, most: int) -> bytes:
    """Unpack what zlib packed; what it did not is given back as it is.

    Raises:
        TooLarge: it has more than ``most`` bytes.
    """
    unpacker = zlib.decompressobj()
    try:
        inner = unpacker.decompress(data, most + 1)
    except zlib.error:
        return data
    if len(inner) > most:
        raise TooLarge
    return inner


def png(data: bytes) -> Container:
    """Take a PNG apart by its chunks; the picture's are one, and checksums are left out."""
    members: list[Member] = []
    fields: dict[str, str] = {}
    picture = b""
    for kind, content in _chunks(data):
        if kind == b"tIME" and len(content) == 7:
            year, *rest = struct.unpack(">HBBBBB", content)
            month, day, hour, minute, second = rest
            fields["mtime"] = f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        elif kind == b"IDAT":
            picture += content
        elif kind in _PACKED_TEXT:
            name, _, rest_of_it = content.partition(b"\0")
            members.append(Member(f"{kind.decode()} {name[:79].decode('latin-1')}",
                                  _words(kind, rest_of_it)))  # fmt: skip
        else:
            members.append(Member(kind.decode("latin-1"), content))
    return Container("png", (*members, Member("IDAT", inflated(picture, LARGEST))), fields)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if at + 12 + size > len(data):
            raise ValueError(size)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _words(kind: bytes, content: bytes) -> bytes:
    if kind == b"zTXt":
        return inflated(content[1:], LARGEST)
    if kind == b"iTXt" and content[:1] == b"\1":
        head, _, packed = content[2:].rpartition(b"\0")
        return head + b"\0" + inflated(packed, LARGEST)
    return content
