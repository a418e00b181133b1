"""Bytes that a text holds as numbers: arrays of C, as xxd and rcc write them. Pure."""

from __future__ import annotations

import re

from gbuild.check.diagnose.member import LARGEST, Container, Member

_ARRAY = re.compile(rb"(?:0[xX][0-9a-fA-F]{1,2}\s*,\s*){11,}(?:0[xX][0-9a-fA-F]{1,2})?")
_NUMBER = re.compile(rb"0[xX]([0-9a-fA-F]{1,2})")
_LOOKED_AT = 65_536


def is_array(data: bytes) -> bool:
    """Say whether a text has an array of bytes, in its beginning."""
    head = data[:_LOOKED_AT]
    return b"0x" in head and b"\0" not in head and bool(_ARRAY.search(head))


def array(data: bytes) -> Container:
    """Take a text apart into what its arrays hold, and the rest."""
    if len(data) > LARGEST >> 4:
        raise ValueError(len(data))
    members = [Member("", _ARRAY.sub(b"#", data))]
    for match in _ARRAY.finditer(data):
        held = bytes(int(number, 16) for number in _NUMBER.findall(match[0]))
        members.append(Member("bytes", held))
    return Container("array", tuple(members))
