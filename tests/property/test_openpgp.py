"""Bytes that come from anybody: refused or passed on, never a surprise."""

from __future__ import annotations

import base64
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from gbuild.formats.gpgstatus import read_keys, read_signatures
from gbuild.formats.openpgp import NotASignature, detached_signature

BODIES = st.binary(max_size=300)


def packet(body: bytes, *, new: bool) -> bytes:
    if new:
        return b"\xc2\xff" + len(body).to_bytes(4, "big") + body
    return b"\x89" + len(body).to_bytes(2, "big") + body


SIGNATURES = st.lists(st.builds(packet, BODIES, new=st.booleans()), min_size=1, max_size=5).map(
    b"".join
)


@given(st.binary(max_size=500))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(NotASignature):
        assert detached_signature(data)[0] & 0x80


@given(SIGNATURES)
def test_signature_packets_come_through_binary_and_armored(data: bytes) -> None:
    assert detached_signature(data) == data
    lines = base64.encodebytes(data).decode()
    armor = f"-----BEGIN PGP SIGNATURE-----\n\n{lines}-----END PGP SIGNATURE-----\n"
    assert detached_signature(armor.encode()) == data


@given(SIGNATURES, st.binary(min_size=1, max_size=40))
def test_nothing_rides_behind_a_signature(data: bytes, tail: bytes) -> None:
    with contextlib.suppress(NotASignature):
        packets = detached_signature(data + tail)
        assert packets == data + tail
        assert tail[0] & 0x80


@given(st.lists(st.text(max_size=60), max_size=10))
def test_status_lines_of_any_shape(lines: list[str]) -> None:
    read_signatures(["[GNUPG:] NEWSIG", *lines, *(f"[GNUPG:] {line}" for line in lines)], {})


@given(st.lists(st.sampled_from(["pub", "sub", "fpr", "uid", "x"]), max_size=12), st.text())
def test_listings_of_any_order(kinds: list[str], text: str) -> None:
    safe = text.replace("\n", "").replace(":", "")
    listing = "\n".join(f"{kind}:u:255:22:K:1:::u:{'F' * 40}{safe}::sc::::::" for kind in kinds)
    for key in read_keys(listing):
        assert key.fingerprint.startswith("F" * 40)
