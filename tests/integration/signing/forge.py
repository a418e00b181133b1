"""OpenPGP written by hand: keys with any date, and signatures that no honest tool makes.

Format: RFC 9580 (version 4 keys and signatures, the older EdDSA of draft-ietf-openpgp-rfc4880bis,
which gpg 2.2 knows). Only for tests: nothing here is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNATURE, PUBLIC_KEY, TRUST, USER_ID = 2, 6, 12, 13
_EDDSA = 22
_CURVE = bytes.fromhex("092b06010401da470f01")
_DIGESTS = {1: "md5", 2: "sha1", 8: "sha256", 10: "sha512"}
BEGAN = 1_577_836_800
"""The first second of 2020."""
YEAR = 31_536_000


def packet(tag: int, body: bytes) -> bytes:
    """Return a packet in the new format, its length in five octets."""
    return bytes((0xC0 | tag, 0xFF)) + len(body).to_bytes(4, "big") + body


def subpacket(kind: int, content: bytes) -> bytes:
    """Return one subpacket of a signature."""
    size = len(content) + 1
    length = bytes((size,)) if size < 192 else b"\xff" + size.to_bytes(4, "big")
    return length + bytes((kind,)) + content


def number(value: bytes) -> bytes:
    """Return a number with its length in bits in front."""
    bare = value.lstrip(b"\0")
    bits = len(bare) * 8 - (8 - bare[0].bit_length() if bare else 0)
    return bits.to_bytes(2, "big") + bare


@dataclass(frozen=True)
class Forger:
    """A signing key that says it was made at ``created`` (seconds since the epoch)."""

    created: int = BEGAN
    secret: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def body(self) -> bytes:
        point = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        head = b"\x04" + self.created.to_bytes(4, "big") + bytes((_EDDSA,))
        return head + _CURVE + number(b"\x40" + point)

    @property
    def fingerprint(self) -> str:
        head = b"\x99" + len(self.body).to_bytes(2, "big")
        return hashlib.sha1(head + self.body, usedforsecurity=False).hexdigest().upper()

    def certificate(
        self, user_id: bytes, *, lasts: int | None = None, revoked: int | None = None
    ) -> bytes:
        """Return the public key, one user id, and its own signature over both.

        ``lasts`` is for how many seconds it is valid, ``revoked`` when it was revoked.
        """
        whole = b"\x99" + len(self.body).to_bytes(2, "big") + self.body
        about = b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
        expiry = [] if lasts is None else [subpacket(9, lasts.to_bytes(4, "big"))]
        flags = [subpacket(27, b"\x03"), *expiry]
        end = [] if revoked is None else [self.signature(whole, kind=0x20, created=revoked)]
        own = self.signature(whole + about, kind=0x13, created=self.created, hashed=flags)
        return b"".join(
            [packet(PUBLIC_KEY, self.body), *end, packet(USER_ID, user_id), own],
        )

    def signature(
        self,
        data: bytes,
        *,
        kind: int = 0,
        created: int | None = None,
        digest: int = 10,
        hashed: Iterable[bytes] = (),
        unhashed: Iterable[bytes] = (),
        issuer: bytes | None = None,
    ) -> bytes:
        """Return a signature packet over bytes; a second younger than the key if not told."""
        date = self.created + 1 if created is None else created
        named = bytes.fromhex(self.fingerprint) if issuer is None else issuer
        inside = b"".join(
            [subpacket(2, date.to_bytes(4, "big")), subpacket(33, b"\x04" + named), *hashed]
        )
        head = bytes((4, kind, _EDDSA, digest)) + len(inside).to_bytes(2, "big") + inside
        tail = b"\x04\xff" + len(head).to_bytes(4, "big")
        hashing = hashlib.new(_DIGESTS[digest], data + head + tail, usedforsecurity=False)
        value = self.secret.sign(hashing.digest())
        outside = b"".join([subpacket(16, named[-8:]), *unhashed])
        body = head + len(outside).to_bytes(2, "big") + outside + hashing.digest()[:2]
        return packet(SIGNATURE, body + number(value[:32]) + number(value[32:]))


def same_short_id() -> tuple[Forger, Forger]:
    """Return two keys whose fingerprints end in the same eight digits.

    Only the dates are tried: 2^17 of one key, and of the other about 2^15 until one fits.
    """
    one, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    dates = range(BEGAN, BEGAN + (1 << 17))
    seen = dict(zip(_short_ids(one, dates), dates, strict=True))
    dates = range(BEGAN, BEGAN + (1 << 22))
    for date, short in zip(dates, _short_ids(other, dates), strict=False):
        if short in seen:
            return Forger(seen[short], one), Forger(date, other)
    raise AssertionError("2^39 pairs, and none has one short id")


def _short_ids(secret: Ed25519PrivateKey, dates: Iterable[int]) -> Iterator[bytes]:
    body = Forger(0, secret).body
    head, rest = b"\x99" + len(body).to_bytes(2, "big") + b"\x04", body[5:]
    for date in dates:
        whole = head + date.to_bytes(4, "big") + rest
        yield hashlib.sha1(whole, usedforsecurity=False).digest()[-4:]
