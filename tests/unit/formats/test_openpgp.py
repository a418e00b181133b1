"""Detached signatures: what is one, what only looks like one."""

from __future__ import annotations

import base64
import re

import pytest

from gbuild.formats.openpgp import (
    MAX_SIGNATURES,
    NotASignature,
    NotDetached,
    detached_signature,
)
from gbuild.formats.openpgp_packets import crc24

OLD = b"\x88\x04abcd"  # old format, type 2, four octets
NEW = b"\xc2\x04abcd"


def armored(data: bytes, kind: str = "SIGNATURE", headers: str = "") -> bytes:
    body = base64.b64encode(data).decode()
    check = base64.b64encode(crc24(data)).decode()
    text = f"-----BEGIN PGP {kind}-----\n{headers}\n{body}\n={check}\n-----END PGP {kind}-----\n"
    return text.encode()


@pytest.mark.parametrize(
    "data",
    [
        OLD,
        NEW,
        OLD + NEW,
        b"\x89\x00\x04abcd",
        b"\x8a\x00\x00\x00\x04abcd",
        b"\xc2\xff\x00\x00\x00\x04abcd",
        b"\xc2\xc0\x08" + b"x" * 200,
        OLD * MAX_SIGNATURES,
    ],
)
def test_packets_of_either_format_pass_unchanged(data: bytes) -> None:
    assert detached_signature(data) == data


@pytest.mark.parametrize("headers", ["", "Version: GnuPG v1\n", "Comment: a\nHash: SHA1\n"])
def test_armor_is_taken_off(headers: str) -> None:
    assert detached_signature(armored(OLD, headers=headers)) == OLD
    assert detached_signature(armored(OLD, headers=headers).replace(b"\n", b"\r\n")) == OLD


@pytest.mark.parametrize(
    "data",
    [
        b"\xa3\x01\x00",  # compressed
        b"\x90\x0d" + b"x" * 13 + OLD,  # one-pass signature: an inline-signed message
        armored(b"\xa3\x01", kind="MESSAGE"),
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello\n" + armored(OLD),
    ],
)
def test_a_message_with_its_own_text_is_not_detached(data: bytes) -> None:
    with pytest.raises(NotDetached):
        detached_signature(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no OpenPGP signature"),
        (b"<html><body>404</body></html>", "no OpenPGP signature"),
        (OLD[:-1], "cut off"),
        (OLD + b"tail", "damaged"),
        (OLD * (MAX_SIGNATURES + 1), "more than"),
        (OLD + b"\xa3\x01\x00", "unknown length"),
        (OLD + b"\xa0\x01\x00", "type 8"),
        (b"\x99\x00\x02ab", "type 6"),
        (b"\xc2\xe1ab", "unknown length"),  # partial length
        (b"\x8babcd", "unknown length"),  # indeterminate length
        (b"\x88", "unknown length"),
        (b"\xc2\xff\x00", "cut off"),
        (b"-----BEGIN PGP SIGNATURE-----\n\niHUE\n", "no end"),
        (armored(OLD).replace(b"iARh", b"i!Rh"), "damaged"),
        (armored(b""), "empty"),
        (armored(OLD).replace(b"\n=", b"\n=A", 1), "damaged"),
        (re.sub(rb"\n=....\n", b"\n=AAAA\n", armored(OLD)), "check sum"),
    ],
)
def test_everything_else_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NotASignature, match=reason) as caught:
        detached_signature(data)
    assert not isinstance(caught.value, NotDetached)


@pytest.mark.parametrize("size", [0, 1, 3, 199, 200, 201, 383, 384, 385, 1000, 30_001])
def test_the_check_sum_is_that_of_the_standard(size: int) -> None:
    """Bit by bit, as RFC 9580 has it in its section 6.1.1."""
    data = bytes(place * 97 + place // 251 & 0xFF for place in range(size))
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    assert crc24(data) == crc.to_bytes(3, "big")
