"""Which key a person means; the error when it cannot be told."""

from __future__ import annotations

import re

import pytest

from gbuild.errors import SigningKeyFailure
from gbuild.formats.gpgstatus import Key
from gbuild.sign.choose import choose

ALICE = "AAAA0000AAAA0000AAAA0000AAAA000011112222"
SUB = "CCCC0000CCCC0000CCCC0000CCCC000033334444"
BOB = "BBBB0000BBBB0000BBBB0000BBBB000055556666"


def key(
    fingerprint: str,
    user_id: str = "",
    validity: str = "u",
    capabilities: str = "scSC",
    primary: str = "",
    secret: bool = True,
) -> Key:
    return Key(
        fingerprint=fingerprint,
        primary=primary or fingerprint,
        validity=validity,
        algorithm="EdDSA",
        bits=255,
        capabilities=capabilities,
        user_ids=(user_id,) if user_id else (),
        secret=secret,
    )


KEYS = (
    key(ALICE, "Alice Liddell (release) <alice@example.org>"),
    key(SUB, primary=ALICE, capabilities="s"),
    key(BOB, "Bob <bob@example.org>"),
)


@pytest.mark.parametrize(
    "wanted",
    [
        "alice@example.org",
        "ALICE@example.org",
        "<alice@example.org>",
        "Alice Liddell",
        "liddell",
        ALICE,
        ALICE.lower(),
        f"0x{ALICE}",
        ALICE[-16:],
        ALICE[-8:],
        f"0x{ALICE[-8:]}",
    ],
)
def test_every_way_to_name_a_key(wanted: str) -> None:
    chosen = choose(wanted, KEYS, ())
    assert chosen.key.fingerprint == ALICE
    assert chosen.local_user == ALICE


@pytest.mark.parametrize("wanted", [SUB, SUB[-16:], f"{SUB}!"])
def test_a_subkey_that_is_named_is_the_one_that_signs(wanted: str) -> None:
    chosen = choose(wanted, KEYS, ())
    assert (chosen.key.fingerprint, chosen.local_user) == (ALICE, f"{SUB}!")


@pytest.mark.parametrize("wanted", ["lice@example.org", "example.org", "carol", "DEADBEEF"])
def test_no_such_key_lists_those_that_can_sign(wanted: str) -> None:
    with pytest.raises(SigningKeyFailure, match=f"no secret key for {wanted}") as caught:
        choose(wanted, KEYS, ())
    assert any(ALICE in line for line in caught.value.details)
    assert any(BOB in line for line in caught.value.details)


def test_an_empty_keyring_gets_a_way_out() -> None:
    with pytest.raises(SigningKeyFailure) as caught:
        choose("alice", (), ())
    assert caught.value.hint
    assert "--quick-generate-key" in caught.value.hint


def test_two_keys_that_can_sign_are_never_guessed_between() -> None:
    twin = key(BOB, "Alice L. <alice@example.org>")
    with pytest.raises(SigningKeyFailure, match="names 2 keys") as caught:
        choose("alice@example.org", (*KEYS[:2], twin), ())
    assert [line.split()[0] for line in caught.value.details] == [ALICE, BOB]


def test_two_keys_with_one_short_id_are_ambiguous() -> None:
    twin = key("F" * 32 + ALICE[-8:], "Mallory <m@example.org>")
    with pytest.raises(SigningKeyFailure, match="names 2 keys"):
        choose(ALICE[-8:], (*KEYS, twin), ())


def test_an_expired_key_beside_a_good_one_does_not_disturb() -> None:
    old = key(BOB, "Alice <alice@example.org>", validity="e")
    assert choose("alice@example.org", (old, *KEYS[:2]), ()).key.fingerprint == ALICE


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (key(ALICE, "A <a@x>", validity="e"), "expired"),
        (key(ALICE, "A <a@x>", validity="r"), "revoked"),
        (key(ALICE, "A <a@x>", validity="d"), "disabled"),
        (key(ALICE, "A <a@x>", capabilities="cC"), "not made for signing"),
    ],
)
def test_a_key_that_cannot_sign_says_why(broken: Key, why: str) -> None:
    with pytest.raises(SigningKeyFailure, match="a@x cannot sign") as caught:
        choose("a@x", (broken,), ())
    assert re.search(why, caught.value.details[0])


def test_an_offline_primary_signs_with_its_subkey() -> None:
    primary = key(ALICE, "A <a@x>", secret=False)
    assert choose("a@x", (primary, KEYS[1]), ()).key.fingerprint == ALICE
    with pytest.raises(SigningKeyFailure, match="cannot sign"):
        choose("a@x", (primary,), ())


def test_a_named_subkey_that_has_expired_is_not_replaced_by_another() -> None:
    expired = key(SUB, primary=ALICE, capabilities="s", validity="e")
    with pytest.raises(SigningKeyFailure, match="subkey"):
        choose(SUB, (KEYS[0], expired), ())


def test_only_the_public_key_is_here() -> None:
    with pytest.raises(SigningKeyFailure, match="only its public key"):
        choose("bob@example.org", KEYS[:2], KEYS)
