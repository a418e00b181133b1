"""Public key files, cut down to what verifying needs (RFC 9580, sections 5.5, 10.1 and 12).

What goes on to gpg is the primary key, its subkeys and user ids, and the signatures by the key
itself and by those who may revoke it. Left out are trust packets (they could vouch for
somebody), pictures, private packets, and what others certified (hundreds of kilobytes in
real trees, and each is looked at again for every signature that is checked).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gbuild.formats import openpgp_packets
from gbuild.formats.openpgp_packets import Damaged, Packet

_SIGNATURE, _SECRET, _PUBLIC, _SECRET_SUB = 2, 5, 6, 7
_USER_ID, _SUBKEY, _PICTURE = 13, 14, 17
_CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13, 0x30})
_REVOCATIONS = frozenset({0x20, 0x28})
_ISSUER, _REASON, _ISSUER_FINGERPRINT = 16, 29, 33
_V4 = 4

MAX_PACKETS = 3_000
MAX_KEPT = 1_000
"""Parts of one key that gpg gets: it takes seconds for a thousand. The largest real one has 27."""
MAX_SUBKEYS = 100
"""Of one key; gpg takes minutes with thousands. The largest real one has 12."""

_REASONS: Mapping[int, str] = {
    0: "no reason given",
    1: "superseded",
    2: "compromised",
    3: "retired",
    32: "user id no longer valid",
}
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>|\A([^<>\s]+@[^<>\s]+)\Z")


class NotAKey(Damaged):
    """Bytes that are no public key, or one that is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One primary key with what belongs to it, nothing checked yet: gpg does that.

    ``packets`` is what gpg gets. ``fingerprint`` is the primary's, ``revocations`` say why, in
    words, by fingerprint (of the primary or of a subkey).
    """

    fingerprint: str
    packets: bytes
    subkeys: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    revocations: Mapping[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> frozenset[str]:
        """The e-mail addresses that its user ids claim, case folded; nobody checked them."""
        found = (_ADDRESS.search(user_id) for user_id in self.user_ids)
        return frozenset((match[1] or match[2]).casefold() for match in found if match)


def read_keys(data: bytes) -> tuple[PublicKey, ...]:
    """Read a key file, armored (one block or several) or binary; equal keys become one.

    Raises:
        NotAKey: it is damaged, holds a secret key, or more parts than any honest key.
    """
    try:
        if openpgp_packets.is_binary(data):
            packets = data
        else:
            packets = b"".join(openpgp_packets.dearmor(data, "PUBLIC KEY BLOCK"))
        parts = list(_keys(openpgp_packets.split(packets)))
    except Damaged as error:
        raise error if isinstance(error, NotAKey) else NotAKey(error.brief) from error
    if not parts:
        raise NotAKey("there is no public key in it")
    keys: dict[str, PublicKey] = {}
    for each in map(_key, parts):
        before = keys.get(each.fingerprint)
        keys[each.fingerprint] = _together(before, each) if before else each
    return tuple(keys.values())


def _keys(packets: Iterator[Packet]) -> Iterator[list[Packet]]:
    """Yield the packets of one primary key each."""
    current: list[Packet] = []
    for count, packet in enumerate(packets):
        if count >= MAX_PACKETS:
            raise NotAKey(f"it has more than {MAX_PACKETS} parts")
        if packet.tag in {_SECRET, _SECRET_SUB}:
            raise NotAKey("it holds a secret key")
        if packet.tag == _PUBLIC:
            if current:
                yield current
            current = [packet]
        elif current:
            current.append(packet)
    if current:
        yield current


def _key(packets: list[Packet]) -> PublicKey:
    primary = fingerprint(packets[0])
    kept = list(_kept(packets, primary))
    if len(kept) > MAX_KEPT:
        raise NotAKey(f"it has {len(kept)} parts of its own, more than {MAX_KEPT}")
    owners = [packet for packet in kept if packet.tag == _SUBKEY]
    if len(owners) > MAX_SUBKEYS:
        raise NotAKey(f"it has {len(owners)} subkeys, more than {MAX_SUBKEYS}")
    return PublicKey(
        fingerprint=primary,
        packets=openpgp_packets.join(*kept),
        subkeys=tuple(map(fingerprint, owners)),
        user_ids=tuple(p.body.decode("utf-8", "replace") for p in kept if p.tag == _USER_ID),
        revocations=_revocations(kept),
    )


def _kept(packets: list[Packet], primary: str) -> Iterator[Packet]:
    """Yield what gpg gets; signatures over a picture are left out with it, and no others.

    Trust packets may stand between a key and its revocation.
    """
    pictured = False
    for packet in packets:
        if packet.tag == _SIGNATURE:
            if not pictured and not _by_others(packet.body, primary):
                yield packet
        elif packet.tag in {_PUBLIC, _SUBKEY, _USER_ID}:
            pictured = False
            yield packet
        elif packet.tag == _PICTURE:
            pictured = True


def _together(first: PublicKey, second: PublicKey) -> PublicKey:
    return PublicKey(
        fingerprint=first.fingerprint,
        packets=first.packets + second.packets,
        subkeys=tuple(dict.fromkeys((*first.subkeys, *second.subkeys))),
        user_ids=tuple(dict.fromkeys((*first.user_ids, *second.user_ids))),
        revocations={**first.revocations, **second.revocations},
    )


def fingerprint(packet: Packet) -> str:
    """Return the fingerprint of a version 4 key packet: 40 upper-case hex digits.

    Raises:
        NotAKey: the key has another version, which gpg 2.2 does not use.
    """
    if packet.body[:1] != bytes((_V4,)) or len(packet.body) >= 1 << 16:
        raise NotAKey("a key whose version is not 4")
    head = b"\x99" + len(packet.body).to_bytes(2, "big")
    return hashlib.sha1(head + packet.body, usedforsecurity=False).hexdigest().upper()


def _by_others(body: bytes, primary: str) -> bool:
    """Say whether a signature certifies for somebody else; when unsure, it does not."""
    if len(body) < 2 or body[0] != _V4 or body[1] not in _CERTIFICATIONS:
        return False
    found = dict(_subpackets(body))
    if long_id := found.get(_ISSUER):
        return long_id.hex().upper() != primary[-16:]
    whole = found.get(_ISSUER_FINGERPRINT, b"")[1:]
    return bool(whole) and whole.hex().upper() != primary


def _revocations(packets: list[Packet]) -> Mapping[str, str]:
    owner = ""
    found: dict[str, str] = {}
    for packet in packets:
        if packet.tag in {_PUBLIC, _SUBKEY}:
            owner = fingerprint(packet)
        elif packet.tag == _SIGNATURE and packet.body[1:2] and packet.body[1] in _REVOCATIONS:
            found.setdefault(owner, _reason(packet.body))
    return found


def _reason(body: bytes) -> str:
    raw = dict(_subpackets(body)).get(_REASON, b"\x00")
    word = _REASONS.get(raw[0] if raw else 0, f"reason {raw[0] if raw else 0}")
    comment = raw[1:].decode("utf-8", "replace").strip()
    return f"{word}: {comment}" if comment else word


def _subpackets(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, content) of a version 4 signature, hashed ones last so that they win."""
    hashed, rest = _area(body, 4)
    unhashed, _ = _area(body, rest)
    for area in (unhashed, hashed):
        position = 0
        while position < len(area):
            length, size = _subpacket_length(area, position)
            content = area[position + size : position + size + length]
            position += size + length
            if content:
                yield content[0] & 0x7F, content[1:]


def _area(body: bytes, start: int) -> tuple[bytes, int]:
    length = int.from_bytes(body[start : start + 2], "big")
    end = start + 2 + length
    return body[start + 2 : end], end


def _subpacket_length(area: bytes, position: int) -> tuple[int, int]:
    first = area[position]
    if first < 192:
        return first, 1
    if first < 255:
        second = area[position + 1] if position + 1 < len(area) else 0
        return ((first - 192) << 8) + second + 192, 2
    return int.from_bytes(area[position + 1 : position + 5], "big"), 5
