"""The judge with a policy: whose entries count, and what makes persons enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gbuild.model.policy import Anyone, ForArtifacts, Group, Member, Person, Policy
from gbuild.model.verdict import Claim, Evidence, Outcome, ReleaseVerdict, Signature, Status
from gbuild.verify.explain import explain
from gbuild.verify.judge import judge

ONE, TWO = "1" * 64, "2" * 64
DAY = 86_400
NOW = 1_700_000_000
ALICE = Person(name="alice", keys=frozenset({"A1", "A2"}))
BOB = Person(name="bob", keys=frozenset({"B"}), signers=frozenset({"bob"}))
BOTH = Policy(persons=(ALICE, BOB), require=Group((Member("alice"), Member("bob")), 2))


def claim(signer: str, key: str, status: Status = Status.GOOD, **more: Any) -> Claim:
    artifacts = more.pop("artifacts", {"a": ONE})
    signature = Signature(
        status=Status.GOOD if status is Status.WEAK else status,
        fingerprint=key,
        created=NOW - 10 * DAY,
        key_expires=NOW - DAY,
        weaknesses=("SHA1",) if status is Status.WEAK else (),
    )
    return replace(
        Claim(signer=signer, release="1.0", name="hello", status=status, findings=(status,)),
        signature=signature,
        artifacts=artifacts,
        **more,
    )


def verdict(policy: Policy, *claims: Claim) -> ReleaseVerdict:
    return judge("1.0", "hello", claims, policy=policy, at=NOW)


def objections(policy: Policy, *claims: Claim) -> list[str | None]:
    return [entry.objection for entry in verdict(policy, *claims).signers]


def test_two_keys_of_one_person_are_one_person() -> None:
    twice = (claim("alice", "A1"), claim("alice2", "A2"))
    result = verdict(BOTH, *twice)
    assert (result.outcome, result.persons) == (Outcome.UNTRUSTED, 1)
    assert verdict(BOTH, *twice, claim("bob", "B")).outcome is Outcome.AGREE
    named = [replace(each, person="alice") for each in twice]
    assert verdict(Policy(require=Anyone(2)), *named).persons == 1
    assert verdict(Policy(require=Anyone(2)), *named).outcome is Outcome.UNTRUSTED


def test_who_is_not_named_does_not_count() -> None:
    stranger = claim("eve", "E", artifacts={"a": TWO})
    result = verdict(BOTH, claim("alice", "A1"), claim("bob", "B"), stranger)
    assert result.outcome is Outcome.AGREE
    assert [entry.counted for entry in result.signers] == [True, True, False]
    assert objections(BOTH, stranger) == ["signed by somebody whom the policy does not name"]


def test_nobody_signs_in_the_folder_of_another() -> None:
    assert objections(BOTH, claim("alice", "B")) == [
        "signed by bob, who may not sign in this folder"
    ]


def test_persons_without_keys_are_bound_by_the_tree() -> None:
    policy = Policy(persons=(Person(name="carol"),), require=Group((Member("carol"),), 1))
    assert verdict(policy, claim("carol", "C")).outcome is Outcome.UNTRUSTED
    assert verdict(policy, claim("x", "C", person="carol")).outcome is Outcome.AGREE


def test_an_artefact_may_need_others() -> None:
    policy = replace(BOTH, artifacts=(ForArtifacts(("*.exe",), Group((Member("bob"),), 1)),))
    alone = claim("bob", "B", artifacts={"x/a.exe": ONE})
    assert verdict(policy, alone).outcome is Outcome.AGREE
    result = verdict(policy, alone, claim("alice", "A1"))
    assert result.reasons == ("a: signed alike by alice, needed: all of alice, bob",)


def test_an_expired_key_counts_only_with_outside_evidence_of_before() -> None:
    expired = claim("alice", "A1", Status.EXPIRED_KEY)
    seen = Evidence(seen=NOW - 2 * DAY, source="commit 1234")
    policy = Policy(expired=True)
    assert verdict(policy, replace(expired, evidence=seen)).outcome is Outcome.AGREE
    late = replace(expired, evidence=Evidence(seen=NOW - DAY, source="commit 1234"))
    for each in (
        expired,
        late,
        replace(expired, evidence=seen, findings=(Status.EXPIRED_KEY, Status.WRONG_NAME)),
    ):
        assert verdict(policy, each).outcome is Outcome.UNTRUSTED
    assert verdict(Policy(), replace(expired, evidence=seen)).outcome is Outcome.UNTRUSTED
    revoked = replace(claim("alice", "A1", Status.REVOKED_KEY), evidence=seen)
    assert verdict(policy, revoked).outcome is Outcome.UNTRUSTED


def test_weaknesses_are_accepted_by_name() -> None:
    weak = claim("alice", "A1", Status.WEAK)
    assert verdict(Policy(weak=frozenset({"DSA-*"})), weak).outcome is Outcome.UNTRUSTED
    assert verdict(Policy(weak=frozenset({"SHA1"})), weak).outcome is Outcome.AGREE


@pytest.mark.parametrize(
    ("policy", "seen", "counts"),
    [
        (Policy(minimum_age=3 * DAY), None, False),
        (Policy(minimum_age=3 * DAY), NOW - DAY, False),
        (Policy(minimum_age=3 * DAY), NOW - 3 * DAY, True),
        (Policy(maximum_age=30 * DAY), None, True),
        (Policy(maximum_age=3 * DAY), None, False),
        (Policy(maximum_age=3 * DAY), NOW - DAY, False),
    ],
)
def test_ages(policy: Policy, seen: int | None, counts: bool) -> None:
    evidence = None if seen is None else Evidence(seen=seen, source="commit 1234")
    (said,) = objections(policy, claim("alice", "A1", evidence=evidence))
    assert (said is None) == counts


def test_a_copy_is_named_and_may_count_once() -> None:
    copies = (claim("alice", "A1", record="r"), claim("bob", "B", record="r"))
    result = verdict(BOTH, *copies)
    assert result.outcome is Outcome.AGREE
    assert [entry.same_record for entry in result.signers] == [("bob",), ("alice",)]
    assert any("not independent" in each for each in explain(result, BOTH))
    strict = verdict(replace(BOTH, copies=False), *copies)
    assert (strict.outcome, strict.persons) == (Outcome.UNTRUSTED, 1)
    assert strict.signers[1].objection == "a copy of what alice signed"
    own = verdict(BOTH, claim("alice", "A1", record="r"), claim("alice2", "A2", record="r"))
    assert [entry.same_record for entry in own.signers] == [(), ()]


def test_inputs_and_packages_explain_and_decide_nothing() -> None:
    first = claim(
        "alice",
        "A1",
        inputs={"x": "git:1", "y": "2"},
        packages={"e": f"{ONE}  p_1_all.deb\n{ONE}  q_1_all.deb\n"},
    )
    other = claim(
        "bob",
        "B",
        inputs={"x": "git:2", "y": "2"},
        packages={"e": f"{TWO}  p_2_all.deb\n{ONE}  q_1_all.deb\n"},
    )
    result = verdict(BOTH, first, other)
    assert result.outcome is Outcome.AGREE
    assert (result.inputs.same, [each.what for each in result.inputs.differ]) == (False, ["x"])
    assert [each.what for each in result.packages.differ] == ["e: p all"]
    assert result.signers[0].claim.packages == {}
    said = " ".join(explain(result, BOTH))
    assert (
        "The inputs differ in 1, although the files agree: x (git:1: alice | git:2: bob)." in said
    )
    same = verdict(BOTH, first, replace(first, signer="bob"))
    assert (same.inputs.same, same.packages.same) == (True, True)
    assert verdict(BOTH, first).inputs.same is None


def test_broken_entries_may_be_ignored() -> None:
    entries = (claim("alice", "A1"), claim("eve", "E", Status.BAD))
    assert verdict(Policy(), *entries).outcome is Outcome.UNTRUSTED
    assert verdict(Policy(broken=frozenset()), *entries).outcome is Outcome.AGREE


def test_sentences_say_what_was_missing() -> None:
    said = explain(verdict(BOTH, claim("alice", "A1"), claim("eve", "E", Status.UNKNOWN_KEY)), BOTH)
    assert said[0] == "hello 1.0 does not pass: what was signed cannot be relied on."
    assert "needed: all of alice, bob" in said[1]
    assert "eve does not count: signed by a key that is not in the keyring." in said
    assert "a: signed by alice, which is not enough (all of alice, bob)." in said


@pytest.mark.parametrize(("ahead", "counted"), [(0, True), (DAY, True), (DAY + 1, False)])
def test_what_says_it_was_made_later_does_not_count(ahead: int, counted: bool) -> None:
    made = claim("alice", "A1")
    assert made.signature is not None
    later = replace(made, signature=replace(made.signature, created=NOW + ahead))
    (entry,) = verdict(Policy(), later).signers
    assert entry.counted is counted
    assert judge("1.0", "hello", [later], policy=Policy()).outcome is Outcome.AGREE
