"""Packages of RPM taken apart: what the header says, and the payload. Pure.

Format: https://rpm-software-management.github.io/rpm/manual/format_v4.html
"""

from __future__ import annotations

import struct

from gbuild.check.diagnose.member import Container, Member

_HEADER = b"\x8e\xad\xe8\x01"
_LEAD = 96
_MOST = 65_536
_NAMES = {
    1006: "build time", 1007: "build host", 1034: "mtime", 1037: "file flags", 1039: "owner",
    1040: "group", 1096: "inode", 1030: "mode", 1094: "cookie", 1126: "payload flags",
}  # fmt: skip
_DIGESTS = frozenset(
    (1035, 1146, 5092, 5097, 1142, 1116, 1028, 1009, 5011, 1125, 62, 63, 100, 1148)
)
"""Tags that follow the content: digests, sizes, places."""
_WIDTHS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}


def rpm(data: bytes) -> Container:
    """Take a package apart into the fields of its header and its payload."""
    end, _ = _header(data, _LEAD)
    end += -end % 8
    end, fields = _header(data, end)
    return Container("rpm", (Member("payload", data[end:]),), fields)


def _header(data: bytes, at: int) -> tuple[int, dict[str, str]]:
    if data[at : at + 4] != _HEADER:
        raise ValueError(at)
    count, size = struct.unpack_from(">II", data, at + 8)
    if count > _MOST:
        raise ValueError(count)
    store = at + 16 + 16 * count
    fields = {}
    for number in range(count):
        tag, kind, offset, items = struct.unpack_from(">IIII", data, at + 16 + 16 * number)
        if tag not in _DIGESTS and items <= _MOST:
            fields[_NAMES.get(tag, f"tag {tag}")] = _value(data, store + offset, kind, items)
    return store + size, fields


def _value(data: bytes, at: int, kind: int, count: int) -> str:
    if width := _WIDTHS.get(kind):
        return " ".join(map(str, struct.unpack_from(f">{count}{width}", data, at)))
    if kind in (6, 8, 9):
        parts = data[at : at + 256 * count].split(b"\0", count)[:count]
        return "\n".join(part.decode("utf-8", "replace") for part in parts)
    return data[at : at + count].hex()
