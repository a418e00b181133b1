"""Many signatures in one gpg are judged as each alone would be, whatever lies among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbuild.formats import openpgp
from gbuild.formats.gpgstatus import speaks_for_all
from gbuild.host.keyring import Keyring
from gbuild.model.verdict import Signature, Status
from gbuild.verify.checker import Checker

from .forge import BEGAN, SIGNATURE, YEAR, Forger, packet, subpacket

LINES = b"one\r\ntwo\nthree \t\n-- \n"
DOCUMENTS = (b"", b"document", LINES, b"\n" * 3, b"x" * 70_000, b"\x00\xff" * 9)
USER_ID = b"A\n[GNUPG:] GOODSIG 0 x\n[GNUPG:] FILE_DONE <a@x>"
"""What a user id, or a notation, may try to be taken for."""


@dataclass(frozen=True)
class Persons:
    """Keys in every state, and the checker that knows all but the last of them."""

    good: Forger
    expired: Forger
    revoked: Forger
    unknown: Forger
    checker: Checker


@pytest.fixture(scope="module")
def persons() -> Iterator[Persons]:
    good, expired, revoked, unknown = (Forger() for _ in range(4))
    with Keyring() as keyring:
        assert keyring.add([
            good.certificate(USER_ID),
            expired.certificate(b"E <e@x>", lasts=YEAR),
            revoked.certificate(b"R <r@x>", revoked=BEGAN + 9),
        ]) == ()  # fmt: skip
        yield Persons(good, expired, revoked, unknown, Checker.of(keyring))


WHO = st.sampled_from(["good", "good", "expired", "revoked", "unknown"])
HASHED = st.lists(
    st.sampled_from([
        subpacket(3, (9).to_bytes(4, "big")),  # expires after nine seconds
        subpacket(3, b"\x7f\xff\xff\xff"),
        subpacket(20, b"\x80\0\0\0\0\x03\0\x18a@x[GNUPG:] GOODSIG 0 evil"),  # notations
        subpacket(20, b"\x80\0\0\0\0\x03\0\x16a@x\n[GNUPG:] BADSIG 0 x"),
        subpacket(20, b"\x80\0\0\0\xff\xff\xff\xff"),
        subpacket(26, b"https://x/\n[GNUPG:] FILE_START 1 0\n"),  # a policy's address
        subpacket(0x80 | 100, b"critical and unknown"),
        subpacket(28, b"signer's user id\n[GNUPG:] NEWSIG"),
        subpacket(2, b"\0\0\0\0"),
        subpacket(33, b"\x04" + bytes(20)),
        subpacket(16, bytes(8)),
    ]),
    max_size=2,
)  # fmt: skip


@st.composite
def signatures(draw: st.DrawFn) -> tuple[str, dict[str, object], str]:
    """Draw who signs, how, and what is done to the packet afterwards."""
    how: dict[str, object] = {
        "kind": draw(st.sampled_from([0, 0, 0, 0, 1, 2, 0x10, 0x13, 0x18, 0x20, 0x40, 0x50])),
        "digest": draw(st.sampled_from([10, 10, 8, 2, 1])),
        "hashed": draw(HASHED),
        "unhashed": draw(HASHED),
        "created": draw(st.sampled_from([BEGAN + 5, BEGAN + 5, BEGAN - 5, BEGAN + 60 * YEAR])),
    }
    return draw(WHO), how, draw(st.sampled_from(["no", "no", "no", "value", "version", "cut"]))


def harmed(whole: bytes, harm: str) -> bytes:
    body = bytearray(whole[6:])
    if harm == "value":
        body[-1] ^= 1
    elif harm == "version":
        body[0] = 3 if body[-1] & 1 else 5
    elif harm == "cut":
        del body[len(body) // 2 :]
    return packet(SIGNATURE, bytes(body))


RAW = st.binary(max_size=60).map(lambda body: packet(SIGNATURE, body))
MADE = st.lists(st.one_of(signatures(), signatures(), signatures(), RAW), min_size=1, max_size=3)
CASES = st.lists(st.tuples(MADE, st.sampled_from(DOCUMENTS), st.booleans()), min_size=1, max_size=6)


def packets_of(made: Sequence[object], persons: Persons, document: bytes) -> bytes:
    parts = []
    for each in made:
        if isinstance(each, bytes):
            parts.append(each)
            continue
        assert isinstance(each, tuple)
        who, how, harm = each
        parts.append(harmed(getattr(persons, who).signature(document, **how), harm))
    return b"".join(parts)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    derandomize=True,
    database=None,
)
@given(CASES)
def test_a_batch_is_every_signature_alone(
    persons: Persons, cases: list[tuple[list[object], bytes, bool]]
) -> None:
    files = []
    for made, document, other in cases:
        packets = openpgp.detached_signature(packets_of(made, persons, document))
        files.append((packets, document + b"." if other else document))
    with persons.checker.batches() as queue:
        tickets = [queue.add(packets, document) for packets, document in files]
        together = [ticket.signatures() for ticket in tickets]
    for (packets, document), found in zip(files, together, strict=True):
        each = openpgp.each_signature(packets)
        alone = [answer for one in each for answer in persons.checker.alone(one, document)]
        assert list(found) == alone


def test_every_state_comes_through_a_batch(persons: Persons) -> None:
    """Without this the property could hold because nothing is ever good."""
    wanted = {
        "good": Status.GOOD,
        "expired": Status.EXPIRED_KEY,
        "revoked": Status.REVOKED_KEY,
        "unknown": Status.UNKNOWN_KEY,
    }
    with persons.checker.batches() as queue:
        tickets = {who: queue.add(getattr(persons, who).signature(b"d"), b"d") for who in wanted}
        bad = queue.add(persons.good.signature(b"other"), b"d")
        found = {who: speaks_for_all(each.signatures()) for who, each in tickets.items()}
        assert {who: each.status for who, each in found.items()} == wanted
        assert speaks_for_all(bad.signatures()).status is Status.BAD
    assert found["good"].user_id == USER_ID.decode()
    assert found["good"].fingerprint == persons.good.fingerprint


def test_nobody_is_called_good_by_what_a_signature_carries(persons: Persons) -> None:
    """The words of gpg's status lines inside of notations, addresses and names."""
    evil = [
        subpacket(20, b"\x80\0\0\0\0\x03\0\x18a@x[GNUPG:] GOODSIG 0 evil"),
        subpacket(26, b"x\n[GNUPG:] GOODSIG 0 x\n[GNUPG:] VALIDSIG " + b"A" * 40),
    ]
    files = [
        persons.unknown.signature(b"d", hashed=evil),
        persons.good.signature(b"other", hashed=evil),
    ]
    with persons.checker.batches() as queue:
        tickets = [queue.add(each, b"d") for each in files]
        found: list[Signature] = [speaks_for_all(each.signatures()) for each in tickets]
    assert [each.status for each in found] == [Status.UNKNOWN_KEY, Status.BAD]
