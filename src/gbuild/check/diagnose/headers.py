"""Headers of files that are no containers: fields with a meaning are told by name. Pure.

Formats: python bytecode (PEP 552), PE/COFF (Microsoft's "PE Format"), PNG (RFC 2083, tIME).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gbuild.check.diagnose.differences import Field

_Fields = dict[str, str]
_Reader = Callable[[bytes], tuple[_Fields, list[tuple[int, int]]] | None]


def headers(where: str, a: bytes, b: bytes) -> tuple[list[Field], bytes, bytes]:
    """Return the fields that differ, and both files with these bytes made the same."""
    for kind, reader in _READERS:
        one, two = reader(a), reader(b)
        if one is None or two is None:
            continue
        names = sorted(one[0].keys() | two[0].keys())
        fields = [
            Field(where=where, kind=kind, name=n, a=one[0].get(n, ""), b=two[0].get(n, ""))
            for n in names
            if one[0].get(n) != two[0].get(n)
        ]
        return fields, _blanked(a, one[1]), _blanked(b, two[1])
    return [], a, b


def _blanked(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    held = bytearray(data)
    for start, end in spans:
        held[start:end] = bytes(end - start)
    return bytes(held)


def _pyc(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if len(data) < 16 or data[2:4] != b"\r\n":
        return None
    flags, first, second = struct.unpack_from("<III", data, 4)
    if flags & 1:
        return {"source hash": data[8:16].hex()}, [(8, 16)]
    return {"mtime": str(first), "source size": str(second)}, [(8, 16)]


def _pe(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if data[:2] != b"MZ" or len(data) < 0x40:
        return None
    (start,) = struct.unpack_from("<I", data, 0x3C)
    if data[start : start + 4] != b"PE\0\0" or len(data) < start + 92:
        return None
    (stamp,) = struct.unpack_from("<I", data, start + 8)
    (checksum,) = struct.unpack_from("<I", data, start + 88)
    spans = [(start + 8, start + 12), (start + 88, start + 92)]
    return {"mtime": str(stamp), "checksum": f"{checksum:08x}"}, spans


def _png(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    at = data.find(b"\0\0\0\7tIME", 8)
    if at < 0 or at + 19 > len(data):
        return {}, []
    year, *rest = struct.unpack_from(">HBBBBB", data, at + 8)
    month, day, hour, minute, second = rest
    text = f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    return {"mtime": text}, [(at + 8, at + 19)]


_READERS: tuple[tuple[str, _Reader], ...] = (("pyc", _pyc), ("pe", _pe), ("png", _png))
