"""The judge, case by case. Claims are written as short as they can be."""

from __future__ import annotations

import pytest

from gbuild.errors import UsageFailure
from gbuild.model.verdict import Claim, Outcome, ReleaseVerdict, Signature, State, Status
from gbuild.verify.judge import judge
from gbuild.verify.meaning import meaning
from gbuild.verify.policy import BROKEN, Policy, default_policy, describe

A1, A2, B1 = "1" * 64, "2" * 64, "3" * 64
IGNORED = set(Status) - BROKEN - {Status.GOOD}


def claim(
    signer: str,
    artifacts: dict[str, str] | None,
    status: Status = Status.GOOD,
    key: str | None = None,
    problem: str | None = None,
) -> Claim:
    return Claim(
        signer=signer,
        release="1.0",
        name="hello",
        status=status,
        signature=Signature(status=Status.GOOD, fingerprint=key or f"key of {signer}"),
        artifacts=artifacts,
        problem=problem,
    )


def verdict(
    *claims: Claim, policy: Policy | None = None, compare_to: str | None = None
) -> ReleaseVerdict:
    return judge("1.0", "hello", claims, policy=policy or default_policy(), compare_to=compare_to)


def states(result: ReleaseVerdict) -> dict[str, dict[str, str]]:
    return {
        each.claim.signer: {path: str(state) for path, state in each.states.items()}
        for each in result.signers
    }


def test_two_who_agree() -> None:
    result = verdict(claim("alice", {"a": A1}), claim("bob", {"a": A1}))
    assert (result.outcome, result.persons, result.reasons) == (Outcome.AGREE, 2, ())
    assert states(result) == {"alice": {"a": "agree"}, "bob": {"a": "agree"}}


def test_nobody_is_never_a_pass() -> None:
    result = verdict()
    assert result.outcome is Outcome.UNTRUSTED
    assert result.reasons == ("persons with a signature that counts: 0, 1 needed",)


def test_different_bytes_are_a_mismatch_and_the_majority_is_the_reference() -> None:
    result = verdict(claim("alice", {"a": A1}), claim("bob", {"a": A2}), claim("carol", {"a": A1}))
    assert result.outcome is Outcome.MISMATCH
    assert result.reasons == ("a: 2 different files were signed",)
    assert states(result)["bob"] == {"a": "differ"}
    assert states(result)["carol"] == {"a": "agree"}


def test_without_a_majority_everybody_differs() -> None:
    result = verdict(claim("alice", {"a": A1}), claim("bob", {"a": A2}))
    assert result.outcome is Outcome.MISMATCH
    assert {state for each in states(result).values() for state in each.values()} == {"differ"}


def test_who_built_less_is_no_mismatch() -> None:
    result = verdict(
        claim("alice", {"a": A1, "b": B1}), claim("bob", {"a": A1}), claim("eve", {"b": B1})
    )
    assert result.outcome is Outcome.AGREE
    assert states(result)["bob"] == {"a": "agree", "b": "not-built"}


def test_what_only_one_of_several_built_is_extra() -> None:
    result = verdict(claim("alice", {"a": A1, "b": B1}), claim("bob", {"a": A1}))
    assert result.outcome is Outcome.AGREE
    assert states(result) == {
        "alice": {"a": "agree", "b": "extra"},
        "bob": {"a": "agree"},
    }


def test_a_single_signer_is_their_own_reference() -> None:
    assert states(verdict(claim("alice", {"a": A1})))["alice"] == {"a": "agree"}


@pytest.mark.parametrize("status", sorted(BROKEN))
def test_a_broken_entry_spoils_the_release_and_beats_a_mismatch(status: Status) -> None:
    good = (claim("alice", {"a": A1}), claim("bob", {"a": A2}))
    assert verdict(*good).outcome is Outcome.MISMATCH
    result = verdict(*good, claim("mallory", {"a": A1}, status))
    assert result.outcome is Outcome.UNTRUSTED
    assert result.reasons[0].startswith("mallory: ")
    assert result.reasons[-1] == "a: 2 different files were signed"


@pytest.mark.parametrize("status", sorted(IGNORED))
def test_entries_that_say_nothing_do_not_count(status: Status) -> None:
    alone = verdict(claim("dave", {"a": A1}, status))
    assert (alone.outcome, alone.persons) == (Outcome.UNTRUSTED, 0)
    beside = verdict(claim("alice", {"a": A1}), claim("dave", {"a": A2}, status))
    assert (beside.outcome, beside.persons) == (Outcome.AGREE, 1)
    assert states(beside)["dave"] == {"a": "differ"}
    assert [each.counted for each in beside.signers] == [True, False]


def test_without_anybody_who_counts_the_files_are_still_compared() -> None:
    result = verdict(
        claim("alice", {"a": A1}, Status.UNKNOWN_KEY), claim("bob", {"a": A1}, Status.EXPIRED_KEY)
    )
    assert result.outcome is Outcome.UNTRUSTED
    assert states(result) == {"alice": {"a": "agree"}, "bob": {"a": "agree"}}


def test_two_folders_of_one_key_are_one_person() -> None:
    policy = default_policy(persons=2)
    one = (claim("alice", {"a": A1}, key="K"), claim("alice2", {"a": A1}, key="K"))
    assert verdict(*one, policy=policy).outcome is Outcome.UNTRUSTED
    assert verdict(*one, policy=policy).persons == 1
    assert verdict(*one, claim("bob", {"a": A1}), policy=policy).outcome is Outcome.AGREE


def test_every_artefact_needs_its_persons() -> None:
    claims = (claim("alice", {"a": A1, "b": B1}), claim("bob", {"a": A1}))
    assert verdict(*claims).outcome is Outcome.AGREE
    strict = verdict(*claims, policy=default_policy(persons=2))
    assert strict.outcome is Outcome.UNTRUSTED
    assert strict.reasons == ("b: signed alike by 1, 2 needed",)


def test_an_empty_release_vouches_for_nothing() -> None:
    assert verdict(claim("alice", {})).reasons == ("no artefact is listed by anybody who counts",)


def test_weak_signatures_count_when_the_policy_says_so() -> None:
    weak = claim("alice", {"a": A1}, Status.WEAK)
    assert verdict(weak).outcome is Outcome.UNTRUSTED
    assert verdict(weak, policy=default_policy(allow_weak=True)).outcome is Outcome.AGREE


def test_a_digest_that_gpg_refused_never_counts() -> None:
    refused = Claim(
        signer="mallory",
        release="1.0",
        name="hello",
        status=Status.WEAK,
        signature=Signature(status=Status.WEAK, weaknesses=("MD5",)),
        artifacts={"a": A2},
    )
    lenient = default_policy(allow_weak=True)
    assert verdict(refused, policy=lenient).outcome is Outcome.UNTRUSTED
    beside = verdict(claim("alice", {"a": A1}), refused, policy=lenient)
    assert (beside.outcome, beside.persons) == (Outcome.AGREE, 1)


def test_compared_to_one_signer() -> None:
    claims = (claim("alice", {"a": A1}), claim("bob", {"a": A2}), claim("carol", {"a": A1}))
    result = verdict(*claims, compare_to="bob")
    assert result.outcome is Outcome.MISMATCH
    assert states(result) == {
        "alice": {"a": "differ"},
        "bob": {"a": "agree"},
        "carol": {"a": "differ"},
    }


def test_compared_to_one_signer_missing_and_more_are_told_apart() -> None:
    claims = (claim("alice", {"a": A1, "b": B1}), claim("bob", {"a": A1, "c": A2}))
    result = verdict(*claims, compare_to="alice")
    assert result.outcome is Outcome.AGREE
    assert states(result)["bob"] == {"a": "agree", "b": "not-built", "c": "extra"}


def test_compared_to_nobody() -> None:
    result = verdict(claim("alice", {"a": A1}), compare_to="zoe")
    assert result.outcome is Outcome.UNTRUSTED
    assert result.reasons == ("zoe: no assertion to compare with",)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.GOOD}))
def test_compared_to_somebody_who_does_not_count(status: Status) -> None:
    result = verdict(claim("alice", {"a": A1}), claim("bob", {"a": A1}, status), compare_to="bob")
    assert result.outcome is Outcome.UNTRUSTED
    assert "bob" in result.reasons[0]


def test_a_reference_that_does_not_count_but_differs_is_named_too() -> None:
    result = verdict(
        claim("alice", {"a": A1}), claim("bob", {"a": A2}, Status.EXPIRED_KEY), compare_to="bob"
    )
    assert result.reasons[-1] == "a: 2 different files were signed"


def test_every_status_has_its_own_words() -> None:
    said = {meaning(claim("x", None, status)) for status in Status}
    assert len(said) == len(Status)


def test_the_detail_is_part_of_the_meaning() -> None:
    assert meaning(claim("x", None, Status.UNREADABLE, problem="a FIFO")).endswith("(a FIFO)")


def test_a_policy_needs_somebody() -> None:
    with pytest.raises(UsageFailure):
        default_policy(persons=0)


def test_the_policy_in_words() -> None:
    assert describe(default_policy()).startswith(
        "every artefact signed alike by 1 person or more (good signatures count)"
    )
    said = describe(default_policy(persons=3, allow_weak=True))
    assert "3 persons or more (weak or good signatures count)" in said


def test_states_name_only_what_concerns_a_signer() -> None:
    result = verdict(claim("alice", {"a": A1}), claim("bob", None, Status.UNKNOWN_KEY))
    assert states(result)["bob"] == {}
    assert result.artifacts == ("a",)
    assert set(State) == {State.AGREE, State.DIFFER, State.NOT_BUILT, State.EXTRA}
