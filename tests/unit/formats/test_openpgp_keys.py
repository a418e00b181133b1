"""Key files cut down to what verifying needs."""

from __future__ import annotations

import pytest

from gbuild.formats import openpgp_keys
from gbuild.formats.openpgp_keys import NotAKey, read_keys
from gbuild.formats.openpgp_packets import Packet, join, split

PRIMARY = Packet(6, b"\x04" + bytes(4) + b"\x16" + b"point")
OTHER = Packet(6, b"\x04" + bytes(4) + b"\x16" + b"another")
SUBKEY = Packet(14, b"\x04" + bytes(4) + b"\x16" + b"sub")
USER_ID = Packet(13, b"Alice <Alice@Example.org>")
TRUST = Packet(12, b"\x06")
PICTURE = Packet(17, b"jpeg")


def signature(kind: int, *subpackets: tuple[int, bytes]) -> Packet:
    area = b"".join(bytes((len(data) + 1, number)) + data for number, data in subpackets)
    hashed = len(area).to_bytes(2, "big") + area
    return Packet(2, bytes((4, kind, 22, 8)) + hashed + bytes(2) + b"xx")


def fingerprint(key: Packet) -> str:
    return openpgp_keys.fingerprint(key)


OWN = signature(0x13, (16, bytes.fromhex(fingerprint(PRIMARY)[-16:])))
FOREIGN = signature(0x10, (16, bytes(8)))


def tags(data: bytes) -> list[int]:
    (key,) = read_keys(data)
    return [packet.tag for packet in split(key.packets)]


def test_what_belongs_to_a_key_is_kept_and_nothing_else() -> None:
    data = join(PRIMARY, TRUST, USER_ID, TRUST, OWN, FOREIGN, PICTURE, OWN, SUBKEY, OWN, TRUST)
    assert tags(data) == [6, 13, 2, 14, 2]
    (key,) = read_keys(data)
    assert key.fingerprint == fingerprint(PRIMARY)
    assert key.subkeys == (fingerprint(SUBKEY),)
    assert key.addresses == {"alice@example.org"}


@pytest.mark.parametrize("between", [TRUST, Packet(10, b"PGP"), Packet(60, b"x"), Packet(21, b"")])
def test_nothing_between_hides_a_revocation(between: Packet) -> None:
    data = join(PRIMARY, between, signature(0x20), between, USER_ID, between, OWN)
    assert tags(data) == [6, 2, 13, 2]
    (key,) = read_keys(data)
    assert fingerprint(PRIMARY) in key.revocations


def test_a_revocation_says_why() -> None:
    why = (29, b"\x02stolen in May")
    (key,) = read_keys(join(PRIMARY, signature(0x20, why), USER_ID, OWN, SUBKEY, signature(0x28)))
    assert key.revocations == {
        fingerprint(PRIMARY): "compromised: stolen in May",
        fingerprint(SUBKEY): "no reason given",
    }


def test_one_key_twice_is_one_key_and_forgets_nothing() -> None:
    revoked = join(PRIMARY, signature(0x20), USER_ID, OWN)
    for data in (revoked + join(PRIMARY, USER_ID, OWN), join(PRIMARY, USER_ID, OWN) + revoked):
        (key,) = read_keys(data)
        assert fingerprint(PRIMARY) in key.revocations
    assert len(read_keys(join(PRIMARY, USER_ID, OTHER, USER_ID))) == 2


@pytest.mark.parametrize(
    ("user_id", "addresses"),
    [
        (b"a@example.org", {"a@example.org"}),
        (b"A <a@b@c>", {"a@b@c"}),
        (b"A <a b@c>", set()),
        (b"no address", set()),
        (b"A <\xff@x>", {"\ufffd@x"}),
    ],
)
def test_addresses(user_id: bytes, addresses: set[str]) -> None:
    (key,) = read_keys(join(PRIMARY, Packet(13, user_id)))
    assert key.addresses == addresses


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no public key"),
        (b"rubbish", "no public key"),
        (join(USER_ID), "no public key"),
        (join(Packet(5, PRIMARY.body)), "a secret key"),
        (join(PRIMARY, Packet(7, SUBKEY.body)), "a secret key"),
        (join(Packet(6, b"\x03" + PRIMARY.body[1:])), "version is not 4"),
        (join(Packet(6, b"\x06" + PRIMARY.body[1:])), "version is not 4"),
        (join(PRIMARY)[:-1], "cut off"),
        (join(PRIMARY, *[TRUST] * 3_000), "more than 3000 parts"),
        (join(PRIMARY, *[USER_ID] * 1_000), "1001 parts of its own"),
        (join(PRIMARY, *[SUBKEY] * 101), "101 subkeys"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA", "no end"),
    ],
)
def test_what_is_no_key(data: bytes, words: str) -> None:
    with pytest.raises(NotAKey, match=words):
        read_keys(data)
