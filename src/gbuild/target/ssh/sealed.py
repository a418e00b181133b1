"""Packets under AES-GCM, with as few copies and as little new memory as Python allows.

A tree of a gigabyte is thirty thousand packets: what is done for each of them decides how long
it takes. Format: RFC 5647, section 7 (length in the clear, authenticated; 12-byte nonces of a
fixed part and a counter).
"""

from __future__ import annotations

from typing import Protocol

BLOCK = 16
TAG = 16
AROUND = 4 + 1 + 9 + 20 + TAG
"""Most bytes that a packet is longer than the channel data in it."""

Bytes = bytes | bytearray | memoryview


class Engine(Protocol):
    """AES-GCM as the cryptography library offers it."""

    def encrypt_into(
        self, nonce: bytes, data: Bytes, associated_data: bytes | None, buf: Bytes
    ) -> int:
        """Write ciphertext and tag to ``buf``, which is as long as both."""

    def decrypt_into(
        self, nonce: bytes, data: Bytes, associated_data: bytes | None, buf: Bytes
    ) -> int:
        """Write the plaintext to ``buf``, which is as long; raise when anything was changed."""


class Seal:
    """One direction of a connection: the key and the nonce that moves on with each packet."""

    def __init__(self, engine: Engine, nonce: bytes) -> None:
        self._engine = engine
        self._fixed = nonce[:4]
        self._count = int.from_bytes(nonce[4:], "big")
        self._plain = memoryview(bytearray(64 * 1024))

    def close(self, out: memoryview, before: bytes, payload: Bytes) -> int:
        """Write the packet of ``before`` and ``payload`` to ``out``; return its length."""
        start = 1 + len(before)
        inside = start + len(payload)
        padding = 4 + -(inside + 4) % BLOCK
        size = inside + padding
        plain = self._plain if size <= len(self._plain) else memoryview(bytearray(size))
        plain[0] = padding
        plain[1:start] = before
        plain[start:inside] = payload
        plain[inside:size] = bytes(padding)
        length = size.to_bytes(4, "big")
        out[:4] = length
        end = 4 + size + TAG
        self._engine.encrypt_into(self._next(), plain[:size], length, out[4:end])
        return end

    def open(self, length: bytes, sealed: memoryview, plain: memoryview) -> memoryview:
        """Return the payload of a packet, which lies in ``plain``; raises when it was changed."""
        plain = plain[: len(sealed) - TAG]
        self._engine.decrypt_into(self._next(), sealed, length, plain)
        return plain[1 : max(1, len(plain) - plain[0])]

    def _next(self) -> bytes:
        count = self._count
        self._count = (count + 1) & 0xFFFFFFFFFFFFFFFF
        return self._fixed + count.to_bytes(8, "big")
