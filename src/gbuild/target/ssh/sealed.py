"""Packets under AES-GCM, with as few copies as Python allows.

A tree of a gigabyte is thirty thousand packets: what is done for each of them decides how long
it takes. Format: RFC 5647, section 7 (length in the clear, authenticated; 12-byte nonces of a
fixed part and a counter).
"""

from __future__ import annotations

from typing import Protocol

BLOCK = 16
TAG = 16


class Engine(Protocol):
    """AES-GCM as the cryptography library offers it."""

    def encrypt(
        self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None
    ) -> bytes:
        """Return ciphertext and tag."""

    def decrypt(
        self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None
    ) -> bytes:
        """Return the plaintext, or raise when anything was changed."""


class Seal:
    """One direction of a connection: the key and the nonce that moves on with each packet."""

    def __init__(self, engine: Engine, nonce: bytes) -> None:
        self._engine = engine
        self._fixed = nonce[:4]
        self._count = int.from_bytes(nonce[4:], "big")

    def close(self, payload: bytes | memoryview, before: bytes = b"") -> tuple[bytes, bytes]:
        """Return the packet of ``before`` and ``payload``: its length field, and what is sealed."""
        inside = 1 + len(before) + len(payload)
        padding = 4 + -(inside + 4) % BLOCK
        length = (inside + padding).to_bytes(4, "big")
        plain = b"".join((bytes((padding,)), before, payload, bytes(padding)))
        return length, self._engine.encrypt(self._next(), plain, length)

    def open(self, length: bytes, sealed: bytes | memoryview) -> memoryview:
        """Return the payload of a packet; raises when it was changed."""
        plain = self._engine.decrypt(self._next(), sealed, length)
        return memoryview(plain)[1 : max(1, len(plain) - plain[0])]

    def _next(self) -> bytes:
        count = self._count
        self._count = (count + 1) & 0xFFFFFFFFFFFFFFFF
        return self._fixed + count.to_bytes(8, "big")
