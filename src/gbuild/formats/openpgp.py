"""Detached OpenPGP signatures: the outer packets only (RFC 9580, sections 4 and 6).

gpg is given nothing but signature packets: a file that carries anything else (a signed message,
compressed data, keys) is told apart here, before a program reads it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from gbuild.errors import UsageFailure

_ARMOR_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_ARMOR_END = b"-----END PGP SIGNATURE-----"
_ARMOR_ANY = b"-----BEGIN PGP "
_SIGNATURE = 2
_MESSAGE = frozenset({1, 3, 4, 8, 9, 11, 18, 20})
"""Packets that a signed or encrypted message may start with."""

_TWO_OCTETS, _PARTIAL, _FIVE_OCTETS = 192, 224, 255
"""First octet of a length in the new format from which it has two, is partial, has five."""
_OLD_SIZES = (1, 2, 4, 0)
"""Octets of a length in the old format; the last kind has no length and is refused."""

MAX_SIGNATURES = 16
"""More signatures than this in one file are nobody's honest work."""


class NotASignature(UsageFailure):
    """Bytes that are no OpenPGP signature."""


class NotDetached(NotASignature):
    """An OpenPGP message that carries its own text, where a detached signature was expected."""


def detached_signature(data: bytes) -> bytes:
    """Return the binary signature packets of a detached signature, armored or not.

    Raises:
        NotDetached: it is a message with its own content (inline or clear-signed).
        NotASignature: it is something else, damaged, or holds too many signatures.
    """
    packets = data if data[:1] and data[0] & 0x80 else _dearmor(data)
    tags: list[int] = []
    for tag in _tags(packets):
        if tag in _MESSAGE and not tags:
            raise NotDetached("the file is a signed message, not a detached signature")
        if tag != _SIGNATURE:
            raise NotASignature(f"an OpenPGP packet of type {tag} among the signatures")
        tags.append(tag)
        if len(tags) > MAX_SIGNATURES:
            raise NotASignature(f"more than {MAX_SIGNATURES} signatures in one file")
    if not tags:
        raise NotASignature("the file is empty")
    return packets


def _dearmor(data: bytes) -> bytes:
    lines = [line.strip() for line in data.splitlines()]
    if _ARMOR_SIGNATURE not in lines:
        if any(line.startswith(_ARMOR_ANY) for line in lines):
            raise NotDetached("the file is an OpenPGP message, not a detached signature")
        raise NotASignature("the file is no OpenPGP signature")
    body = lines[lines.index(_ARMOR_SIGNATURE) + 1 :]
    if any(line.startswith(b"-----BEGIN PGP SIGNED") for line in lines):
        raise NotDetached("the file is a clear-signed message, not a detached signature")
    if _ARMOR_END not in body:
        raise NotASignature("the armor of the signature has no end")
    return _decode(body[: body.index(_ARMOR_END)])


def _decode(body: list[bytes]) -> bytes:
    start = body.index(b"") + 1 if b"" in body else 0
    text = b"".join(line for line in body[start:] if not line.startswith(b"="))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NotASignature("the armor of the signature is damaged") from error


def _tags(data: bytes) -> Iterator[int]:
    """Yield the packet types; the lengths must add up exactly."""
    position = 0
    while position < len(data):
        head = data[position]
        if not head & 0x80:
            raise NotASignature("the signature is damaged: no OpenPGP packet where one must be")
        tag = head & 0x3F if head & 0x40 else (head >> 2) & 0x0F
        yield tag
        length, size = _new_length(data, position) if head & 0x40 else _old_length(data, position)
        position += 1 + size + length
    if position != len(data):
        raise NotASignature("the signature is cut off")


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    """Return (body length, octets of the length) of a packet in the new format."""
    octets = data[position + 1 : position + 6]
    first = octets[0] if octets else _PARTIAL
    size = 1 if first < _TWO_OCTETS else 2 if first < _PARTIAL else 5
    if len(octets) < size or _PARTIAL <= first < _FIVE_OCTETS:
        raise NotASignature("the signature is cut off or has a packet of unknown length")
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
        raise NotASignature("the signature is cut off or has a packet of unknown length")
    return int.from_bytes(octets, "big"), size
