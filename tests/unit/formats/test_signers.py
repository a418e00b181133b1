"""``signers.yml``: who may sign where."""

from __future__ import annotations

import pytest

from gbuild.formats.problems import InvalidText
from gbuild.formats.signers import Registered, read_signers

A, B = "A" * 40, "B" * 40


def test_persons_with_their_keys_and_folders() -> None:
    data = f"""\
signers:
  alice:
    keys: [{A}, "0x{B.lower()}"]
    folders: [alice@example.org]
  bob: {{keys: "{"1234 " * 10}"}}
"""
    assert read_signers(data.encode()) == (
        Registered(name="alice", folders=("alice", "alice@example.org"), keys=(A, B)),
        Registered(name="bob", folders=("bob",), keys=("1234" * 10,)),
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "no map"),
        ("- a", "no map"),
        ("other: x", "other"),
        ("signers: [a]", "signers is no map"),
        ("signers: {alice: }", "has no keys"),
        ("signers: {alice: {}}", "has no keys"),
        ("signers: {alice: {keys: []}}", "has no keys"),
        (f"signers: {{alice: {{keys: [{A[:16]}]}}}}", "not a fingerprint"),
        (f"signers: {{alice: {{keys: [{A}], key: x}}}}", "key"),
        (f"signers: {{alice: {{keys: [{A}, {A}]}}}}", "given twice"),
        (f"signers: {{alice: {{keys: [{A}]}}, bob: {{keys: [{A}]}}}}", "given twice"),
        (f"signers: {{alice: {{keys: [{A}]}}, ALICE: {{keys: [{B}]}}}}", "given twice"),
        (f"signers: {{alice: {{keys: [{A}], folders: [alice]}}}}", "given twice"),
        (f"signers: {{../x: {{keys: [{A}]}}}}", "not a valid signer name"),
        (f"signers: {{alice: {{keys: [{A}], folders: [{{}}]}}}}", "a map"),
    ],
)
def test_what_is_refused(data: str, words: str) -> None:
    with pytest.raises(InvalidText) as caught:
        read_signers(data.encode())
    assert any(words in problem.reason for problem in caught.value.problems)
