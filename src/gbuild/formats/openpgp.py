"""Signature files: detached signatures and signed messages, told apart before gpg reads them.

gpg is given nothing but signature packets for a detached signature: a file that carries anything
else (a signed message, compressed data, keys) is recognised here (RFC 9580, sections 4 to 7).
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from gbuild.errors import UsageFailure
from gbuild.formats import openpgp_packets
from gbuild.formats.openpgp_packets import MESSAGE_TAGS, Damaged

_ARMOR_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_ARMOR_END = b"-----END PGP SIGNATURE-----"
_ARMOR_ANY = b"-----BEGIN PGP "
_CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE, _COMPRESSED, _ONE_PASS, _LITERAL = 2, 8, 4, 11
_V4 = 4
_BINARY_DOCUMENT = 0

MAX_SIGNATURES = 64
"""More signatures than this in one file are nobody's honest work; a release of Bitcoin has 20."""


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
    packets = data if openpgp_packets.is_binary(data) else _dearmor(data)
    count = 0
    try:
        for packet in openpgp_packets.split(packets):
            if packet.tag in MESSAGE_TAGS and not count:
                raise NotDetached("the file is a signed message, not a detached signature")
            if packet.tag != _SIGNATURE:
                raise NotASignature(f"an OpenPGP packet of type {packet.tag} among the signatures")
            count += 1
            if count > MAX_SIGNATURES:
                raise NotASignature(f"more than {MAX_SIGNATURES} signatures in one file")
    except Damaged as error:
        if _looks_like_message(packets):
            raise NotDetached("the file is a signed message, not a detached signature") from error
        raise NotASignature(f"the signature is damaged: {error.brief}") from error
    if not count:
        raise NotASignature("the file is empty")
    return packets


def _looks_like_message(packets: bytes) -> bool:
    """Say whether data starts like a message: those may have packets of partial length."""
    head = packets[0] if packets else 0
    tag = head & 0x3F if head & 0x40 else (head >> 2) & 0x0F
    return bool(head & 0x80) and tag in MESSAGE_TAGS


def is_signed_message(data: bytes) -> bool:
    """Say whether a file looks like a message with its own text (inline or clear-signed)."""
    try:
        detached_signature(data)
    except NotDetached:
        return True
    except NotASignature:
        return False
    return False


def is_batchable(packets: bytes) -> bool:
    """Say whether gpg answers the same for ``signature, literal data`` as for two files.

    That is so for one version 4 signature over a binary document; a signature over text is
    hashed with other line ends when it is detached.
    """
    found = list(openpgp_packets.split(packets))
    return len(found) == 1 and found[0].body[:2] == bytes((_V4, _BINARY_DOCUMENT))


class Message(NamedTuple):
    """The parts of a message of the old style: a signature, then what it signs."""

    head: bytes
    data: bytes


def signed_literal(packets: bytes, document: bytes) -> Message:
    """Return signature packets and a document as one message, in two parts to be written."""
    signatures = openpgp_packets.join(*openpgp_packets.split(packets))
    about = b"b\x00" + bytes(4)  # binary, no file name, no date
    start = openpgp_packets.header(_LITERAL, len(about) + len(document)) + about
    return Message(signatures + start, document)


def each_signature(packets: bytes) -> tuple[bytes, ...]:
    """Split signature packets into one by one."""
    return tuple(openpgp_packets.join(packet) for packet in openpgp_packets.split(packets))


def armor(packets: bytes) -> bytes:
    """Return signature packets in ASCII armor, with its check sum, as gpg writes it."""
    text = base64.b64encode(packets).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    check = base64.b64encode(openpgp_packets.crc24(packets)).decode()
    head, end = _ARMOR_SIGNATURE.decode(), _ARMOR_END.decode()
    return "\n".join([head, "", *lines, f"={check}", end, ""]).encode()


def _dearmor(data: bytes) -> bytes:
    lines = [line.strip() for line in data.splitlines()]
    if _ARMOR_SIGNATURE not in lines:
        if any(line.startswith(_ARMOR_ANY) for line in lines):
            raise NotDetached("the file is an OpenPGP message, not a detached signature")
        raise NotASignature("the file is no OpenPGP signature")
    if _CLEAR in lines:
        raise NotDetached("the file is a clear-signed message, not a detached signature")
    try:
        return b"".join(openpgp_packets.dearmor(data, "SIGNATURE"))
    except Damaged as error:
        raise NotASignature(f"the signature is damaged: {error.brief}") from error
