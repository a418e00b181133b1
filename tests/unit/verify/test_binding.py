"""Whose a key is, and in whose folder it may sign."""

from __future__ import annotations

import pytest

from gbuild.formats.openpgp_keys import PublicKey
from gbuild.formats.signers import Registered
from gbuild.model.verdict import Bound
from gbuild.verify.binding import Binding, NamedKey, by_names, by_registry, stem

A, B, C = ("A" * 40, "B" * 40, "C" * 40)


def key(fingerprint: str, file: str | None, *user_ids: str) -> NamedKey:
    made = PublicKey(fingerprint=fingerprint, packets=b"", user_ids=user_ids)
    return NamedKey(key=made, name=file)


@pytest.mark.parametrize(
    ("name", "signer"),
    [
        ("alice", "alice"),
        ("alice-key", "alice"),
        ("alice_old", "alice"),
        ("alice.pub", "alice"),
        ("alice_v1.2", "alice"),
        ("alice-old-key", "alice"),
        ("alice@example.org", "alice@example.org"),
        ("-key", "-key"),
        ("monkey", "monkey"),
    ],
)
def test_the_signer_in_the_name_of_a_key_file(name: str, signer: str) -> None:
    assert stem(name) == signer


def test_a_folder_is_its_key_files() -> None:
    binding = by_names([key(A, "alice"), key(B, "bob-key")])
    assert binding.bound("alice", A) is Bound.OWN
    assert binding.bound("ALICE", A) is Bound.OWN
    assert binding.bound("bob", B) is Bound.OWN
    assert binding.bound("bob", A) is Bound.FOREIGN
    assert binding.bound("carol", A) is Bound.UNKNOWN
    assert [binding.person(each) for each in (A, B, C, None)] == ["alice", "bob", None, None]


def test_keys_with_one_name_or_one_address_are_one_person() -> None:
    binding = by_names(
        [
            key(A, "alice", "Alice <a@example.org>"),
            key(B, "alice-old"),
            key(C, "other", "Somebody <A@EXAMPLE.ORG>"),
        ]
    )
    assert {binding.circle(each) for each in (A, B, C)} == {"alice"}
    assert [binding.person(each) for each in (A, B, C)] == ["alice", "alice", "other"]
    assert binding.bound("other", C) is Bound.OWN
    assert binding.bound("alice", C) is Bound.FOREIGN, "an address is claimed by anybody"


def test_a_folder_named_by_address_or_fingerprint() -> None:
    binding = by_names([key(A, "alice", "Alice <a@example.org>"), key(B, "bob")])
    for folder in ("a@example.org", A, A[-16:], f"0x{A[-16:].lower()}"):
        assert binding.bound(folder, A) is Bound.OWN
        assert binding.bound(folder, B) is Bound.FOREIGN


def test_an_address_that_two_persons_claim_is_nobodys_folder() -> None:
    binding = by_names(
        [key(A, "alice", "Alice <a@example.org>"), key(B, "mallory", "M <a@example.org>")]
    )
    assert binding.bound("a@example.org", B) is Bound.UNKNOWN
    assert binding.circle(A) == binding.circle(B), "and they count together"
    assert binding.person(B) == "mallory", "a claim makes nobody another"


def test_a_registry_knows_all_there_is() -> None:
    listed = Registered(name="alice", folders=("alice", "a@example.org"), keys=(A, B))
    binding = by_registry([listed])
    assert binding.bound("A@example.org", B) is Bound.OWN
    assert binding.bound("alice", C) is Bound.FOREIGN
    assert binding.bound("carol", A) is Bound.FOREIGN
    assert [binding.person(each) for each in (A, B, C)] == ["alice", "alice", None]
    assert [binding.circle(each) for each in (A, B, C)] == ["alice", "alice", None]


def test_without_keys_nobody_is_bound() -> None:
    assert Binding().bound("alice", A) is Bound.UNKNOWN
    assert by_names([]).person(A) is None
    assert by_names([key(A, None)]).person(A) == A
