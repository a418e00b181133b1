"""OpenPGP's outer shape: ASCII armor, packets and their lengths (RFC 9580, sections 4 and 6)."""

from __future__ import annotations

import base64
import binascii
import operator
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from gbuild.errors import UsageFailure

_TWO_OCTETS, _PARTIAL, _FIVE_OCTETS = 192, 224, 255
"""First octet of a length in the new format from which it has two, is partial, has five."""
_OLD_SIZES = (1, 2, 4, 0)
"""Octets of a length in the old format; the last kind has no length and is refused."""

MESSAGE_TAGS = frozenset({1, 3, 4, 8, 9, 11, 18, 20})
"""Packets that a signed or encrypted message may start with."""


class Damaged(UsageFailure):
    """Bytes that are no sequence of whole OpenPGP packets."""


class Packet(NamedTuple):
    """One packet: its type and its body, without the header."""

    tag: int
    body: bytes


def split(data: bytes) -> Iterator[Packet]:
    """Yield the packets of binary data; their lengths must add up exactly.

    Raises:
        Damaged: they do not, or a length is partial or missing.
    """
    position = 0
    while position < len(data):
        head = data[position]
        if not head & 0x80:
            raise Damaged("no OpenPGP packet where one must be")
        new = head & 0x40
        tag = head & 0x3F if new else (head >> 2) & 0x0F
        length, size = _new_length(data, position) if new else _old_length(data, position)
        start = position + 1 + size
        position = start + length
        if position > len(data):
            raise Damaged("the data is cut off")
        yield Packet(tag, data[start:position])


def join(*packets: Packet) -> bytes:
    """Write packets in the new format, every length in five octets."""
    return b"".join(header(packet.tag, len(packet.body)) + packet.body for packet in packets)


def header(tag: int, length: int) -> bytes:
    """Return the header of a packet in the new format."""
    return bytes((0xC0 | tag, _FIVE_OCTETS)) + length.to_bytes(4, "big")


def dearmor(data: bytes, kind: str) -> Iterator[bytes]:
    """Yield the binary content of every armored block of that kind (``PUBLIC KEY BLOCK``).

    Raises:
        Damaged: a block has no end, what is in it is no base64, or its check sum is wrong (it
            need not have one; gpg refuses a wrong one, too).
    """
    begin, end = f"-----BEGIN PGP {kind}-----".encode(), f"-----END PGP {kind}-----".encode()
    lines = [line.strip() for line in data.splitlines()]
    while begin in lines:
        body = lines[lines.index(begin) + 1 :]
        if end not in body:
            raise Damaged("the armor has no end")
        yield _decode(body[: body.index(end)])
        lines = body[body.index(end) + 1 :]


def is_binary(data: bytes) -> bool:
    """Say whether data starts like a packet, and not like armor."""
    return bool(data) and data[0] & 0x80 != 0


def _decode(body: list[bytes]) -> bytes:
    start = body.index(b"") + 1 if b"" in body else 0
    text = b"".join(line for line in body[start:] if not line.startswith(b"="))
    sums = [line[1:] for line in body[start:] if line.startswith(b"=")]
    try:
        data = base64.b64decode(text, validate=True)
        wanted = [base64.b64decode(each, validate=True) for each in sums]
    except binascii.Error as error:
        raise Damaged("the armor is damaged") from error
    if wanted not in ([], [crc24(data)]):
        raise Damaged("the armor is damaged: its check sum is wrong")
    return data


def crc24(data: bytes) -> bytes:
    """Return the check sum of armored data (RFC 9580, section 6.1): three octets.

    The sum is linear: what is left of a half, moved over the other half, adds to it. So the data is
    folded to a few octets by operations on all of it, and only those are taken one by one.
    """
    start = _CRC_START.to_bytes(3, "big")
    if len(data) < _SHORT:
        return _crc_by_octets(data, _CRC_START)
    head = bytes(map(operator.xor, data, start)) + data[3:]
    lanes = 1 << (len(head) // 3).bit_length()
    head = bytes(3 * lanes - len(head)) + head  # octets of zero in front change nothing
    planes = [head[0::3], head[1::3], head[2::3]]
    while lanes > _FEW:
        lanes //= 2
        planes = _folded(planes, lanes)
    return _crc_by_octets(bytes(each for lane in zip(*planes, strict=True) for each in lane), 0)


_CRC_START, _CRC_DIVISOR = 0xB704CE, 0x1864CFB
_SHORT = 200
"""Octets that are faster taken one by one."""
_FEW = 16
"""So many groups of three octets are left in the end."""


def _folded(planes: Sequence[bytes], lanes: int) -> list[bytes]:
    """Add the first half to the second one; each plane has every third octet."""
    tables = _moving(lanes)
    folded = []
    for place in range(3):
        total = int.from_bytes(planes[place][lanes:], "big")
        for plane, own in zip(planes, tables, strict=True):
            total ^= int.from_bytes(plane[:lanes].translate(own[place]), "big")
        folded.append(total.to_bytes(lanes, "big"))
    return folded


@cache
def _moving(lanes: int) -> Sequence[Sequence[bytes]]:
    """Return what becomes of an octet that moves on by that many groups of three.

    For each of the three places of an octet: the three octets that it leaves, as tables.
    """
    moved = [_power(lanes)]
    for _ in range(23):
        moved.append(_by_x(moved[-1]))
    tables = []
    for first in (16, 8, 0):
        sums = [0]
        for bit in moved[first : first + 8]:
            sums += [each ^ bit for each in sums]
        tables.append([bytes(each >> at & 0xFF for each in sums) for at in (16, 8, 0)])
    return tables


@cache
def _power(lanes: int) -> int:
    """Return what is left of a one that moves on by so many groups of three octets (2**n)."""
    if lanes == 1:
        return _CRC_DIVISOR & 0xFFFFFF
    half = _power(lanes // 2)
    square = 0
    for bit in reversed(range(24)):
        square = _by_x(square) ^ (half if half >> bit & 1 else 0)
    return square


def _by_x(polynomial: int) -> int:
    """Move on by one bit, and take away the divisor."""
    return polynomial << 1 ^ (_CRC_DIVISOR if polynomial & 0x800000 else 0)


def _crc_by_octets(data: bytes, crc: int) -> bytes:
    table = _crc_table()
    for octet in data:
        crc = (crc << 8) & 0xFFFFFF ^ table[(crc >> 16) ^ octet]
    return crc.to_bytes(3, "big")


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        crc = octet << 16
        for _ in range(8):
            crc = _by_x(crc)
        table.append(crc)
    return tuple(table)


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    """Return (body length, octets of the length) of a packet in the new format."""
    octets = data[position + 1 : position + 6]
    first = octets[0] if octets else _PARTIAL
    size = 1 if first < _TWO_OCTETS else 2 if first < _PARTIAL else 5
    if len(octets) < size or _PARTIAL <= first < _FIVE_OCTETS:
        raise Damaged("the data is cut off or has a packet of unknown length")
    if size == 1:
        return first, size
    if first < _PARTIAL:
        return ((first - _TWO_OCTETS) << 8) + octets[1] + _TWO_OCTETS, size
    return int.from_bytes(octets[1:], "big"), size


def _old_length(data: bytes, position: int) -> tuple[int, int]:
    """Return (body length, octets of the length) of a packet in the old format."""
    size = _OLD_SIZES[data[position] & 3]
    octets = data[position + 1 : position + 1 + size]
    if size == 0 or len(octets) != size:
        raise Damaged("the data is cut off or has a packet of unknown length")
    return int.from_bytes(octets, "big"), size
