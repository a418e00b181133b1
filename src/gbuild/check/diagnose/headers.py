"""Headers of files that are no containers: fields with a meaning are told by name. Pure.

Formats: python bytecode (PEP 552), PE/COFF (Microsoft's "PE Format"), the superblocks of ext
(https://docs.kernel.org/filesystems/ext4/) and squashfs, FAT's boot sector, ISO 9660 (ECMA-119),
OpenType fonts (head), Ogg (RFC 3533), U-Boot's legacy images.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from gbuild.check.diagnose.differences import Field
from gbuild.check.diagnose.git import git_index
from gbuild.check.diagnose.keys import times

_Fields = dict[str, str]
_Reader = Callable[[bytes], tuple[_Fields, list[tuple[int, int]]] | None]


def headers(where: str, a: bytes, b: bytes) -> tuple[list[Field], bytes, bytes]:
    """Return the fields that differ, and both files with these bytes made the same."""
    for kind, reader in _READERS:
        try:
            one, two = reader(a), reader(b)
        except (struct.error, IndexError):
            continue  # it says that it is longer than it is
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


def _number(data: bytes, at: int, form: str) -> str:
    return str(struct.unpack_from(form, data, at)[0])


def _ext(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if data[0x438:0x43A] != b"\x53\xef" or len(data) < 0x800:
        return None
    places = {"created": 0x508, "mtime": 0x430, "modified": 0x42C, "build time": 0x440}
    fields = {name: _number(data, at, "<I") for name, at in places.items()}
    fields |= {"uuid": data[0x468:0x478].hex(), "hash seed": data[0x4EC:0x4FC].hex()}
    spans = [(at, at + 4) for at in (*places.values(), 0x7FC)]
    return fields, [*spans, (0x468, 0x478), (0x4EC, 0x4FC)]


def _squashfs(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if data[:4] != b"hsqs" or len(data) < 96:
        return None
    return {"created": _number(data, 8, "<I")}, [(8, 12)]


def _uimage(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if data[:4] != b"\x27\x05\x19\x56" or len(data) < 64:
        return None
    return {"created": _number(data, 8, ">I")}, [(4, 12), (24, 28)]


def _fat(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    for mark, at in ((54, 39), (82, 67)):
        if data[mark : mark + 3] == b"FAT" and data[510:512] == b"\x55\xaa":
            dates = _fat_dates(data)
            written = " ".join(sorted({data[slice(*span)].hex() for span in dates})[:9])
            fields = {"serial": data[at : at + 4].hex(), "mtime": written}
            return fields, [(at, at + 4), *dates]
    return None


_ENTRY, _NAME = 32, 11
_PLAIN = frozenset((0x08, 0x10, 0x20, 0x21))
"""Attributes of a folder's entries: a label, a folder, a file."""
_SCANNED = 1 << 22


def _fat_dates(data: bytes) -> list[tuple[int, int]]:
    """Return where the dates of all files and folders are: of creation, access and change."""
    found: list[tuple[int, int]] = []
    for at in range(512, min(len(data) - _ENTRY, _SCANNED), _ENTRY):
        name = data[at : at + _NAME]
        known = data[at + _NAME] in _PLAIN and all(0x20 <= byte < 0x7F for byte in name)
        if known and data[at + 12] in (0, 8, 16, 24) and len(found) < _MOST_RECORDS:
            found += [(at + 13, at + 20), (at + 22, at + 26)]
    return found


def _ttf(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if data[:4] not in (b"\0\1\0\0", b"OTTO", b"true") or len(data) < 12:
        return None
    (count,) = struct.unpack_from(">H", data, 4)
    for at in range(12, min(12 + 16 * count, len(data) - 15), 16):
        tag, _, start, size = struct.unpack_from(">4sIII", data, at)
        if tag == b"head" and size >= 54 and start + 54 <= len(data):
            fields = {"created": _number(data, start + 20, ">Q")}
            fields["modified"] = _number(data, start + 28, ">Q")
            return fields, [(at + 4, at + 8), (start + 8, start + 12), (start + 20, start + 36)]
    return None


def _ogg(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    if data[:4] != b"OggS" or len(data) < 27:
        return None
    spans, at = [], 0
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        spans += [(at + 14, at + 18), (at + 22, at + 26)]
        count = data[at + 26]
        at += 27 + count + sum(data[at + 27 : at + 27 + count])
    return {"serial": data[14:18].hex()}, spans


def _iso(data: bytes) -> tuple[_Fields, list[tuple[int, int]]] | None:
    start = 32768
    if data[start : start + 6] != b"\1CD001" or len(data) < start + 2048:
        return None
    spans = [(start + at, start + at + 17) for at in (813, 830, 847, 864)]
    written = data[slice(*spans[0])][:16].decode("latin-1")
    spans += _iso_records(data, start + 156)
    dates = " ".join(sorted({data[slice(*span)].hex() for span in spans[4:]})[:9])
    return {"created": written, "mtime": dates}, spans


def _iso_records(data: bytes, root: int) -> list[tuple[int, int]]:
    """Return where the dates of all files and folders are (ECMA-119, 9.1.5)."""
    spans, waiting, seen = [(root + 18, root + 25)], [root], set()
    while waiting and len(spans) < _MOST_RECORDS:
        record = waiting.pop()
        sector, size = struct.unpack_from("<I4xI", data, record + 2)
        if sector in seen:
            continue
        seen.add(sector)
        at, end = sector * 2048, min(sector * 2048 + size, len(data) - 33)
        while at < end and len(spans) < _MOST_RECORDS:
            if not data[at]:
                at += 2048 - at % 2048
                continue
            spans.append((at + 18, at + 25))
            if data[at + 25] & 2:
                waiting.append(at)
            at += data[at]
    return spans


_MOST_RECORDS = 100_000


_READERS: tuple[tuple[str, _Reader], ...] = (
    ("pyc", _pyc),
    ("pe", _pe),
    ("ext", _ext),
    ("squashfs", _squashfs),
    ("fat", _fat),
    ("uimage", _uimage),
    ("ttf", _ttf),
    ("ogg", _ogg),
    ("x509", times),
    ("iso", _iso),
    ("git", git_index),
)
