"""What no set of claims may bring the judge to say."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from gbuild.model.policy import Anyone, Policy
from gbuild.model.verdict import Claim, Outcome, ReleaseVerdict, Signature, State, Status
from gbuild.verify.document import document
from gbuild.verify.judge import judge
from gbuild.verify.policy import BROKEN, default_policy

PATHS = st.sampled_from(["a", "b", "c"])
DIGESTS = st.sampled_from(["1" * 64, "2" * 64])
MANIFESTS = st.dictionaries(PATHS, DIGESTS, max_size=3)
POLICIES = st.builds(
    default_policy, persons=st.integers(min_value=1, max_value=3), allow_weak=st.booleans()
)


@st.composite
def claims(draw: st.DrawFn, max_size: int = 6) -> list[Claim]:
    signers = draw(st.lists(st.sampled_from("ABCDEF"), unique=True, max_size=max_size))
    return [draw(claim(signer)) for signer in signers]


@st.composite
def claim(draw: st.DrawFn, signer: str) -> Claim:
    key = draw(st.sampled_from(["K1", "K2", "K3", None]))
    status = draw(st.sampled_from(Status))
    readable = status not in {Status.UNREADABLE, Status.MISSING_ASSERTION}
    return Claim(
        signer=signer,
        release="1",
        name="n",
        status=status,
        signature=Signature(status=Status.GOOD, fingerprint=key or f"key of {signer}"),
        artifacts=draw(MANIFESTS) if readable else None,
    )


def counting(policy: Policy) -> set[Status]:
    return {Status.GOOD, Status.WEAK} if policy.weak else {Status.GOOD}


def verdict(given_claims: list[Claim], policy: Policy, to: str | None = None) -> ReleaseVerdict:
    return judge("1", "n", given_claims, policy=policy, compare_to=to)


COMPARED = st.one_of(st.none(), st.sampled_from("ABCDEF"))


@given(claims(), POLICIES, COMPARED, st.randoms(use_true_random=False))
def test_the_order_of_the_disk_does_not_matter(
    found: list[Claim], policy: Policy, to: str | None, random: object
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # random.Random
    assert verdict(shuffled, policy, to) == verdict(found, policy, to)


@given(claims(), POLICIES, COMPARED)
def test_a_pass_means_what_it_says(found: list[Claim], policy: Policy, to: str | None) -> None:
    result = verdict(found, policy, to)
    if result.outcome is not Outcome.AGREE:
        assert result.reasons
        return
    assert result.reasons == ()
    assert not any(each.status in BROKEN for each in found)
    assert isinstance(policy.require, Anyone)
    counted = [each for each in found if each.status in counting(policy)]
    assert len({each.fingerprint for each in counted}) >= policy.require.minimum
    for one, other in combinations(counted, 2):
        shared = set(one.artifacts or ()) & set(other.artifacts or ())
        assert all((one.artifacts or {})[p] == (other.artifacts or {})[p] for p in shared)
    for path in {p for each in counted for p in each.artifacts or ()}:
        persons = {each.fingerprint for each in counted if path in (each.artifacts or ())}
        assert len(persons) >= policy.require.minimum
    assert any(each.artifacts for each in counted)


@given(claims(max_size=5), POLICIES, st.data())
def test_somebody_who_says_nothing_changes_nothing(
    found: list[Claim], policy: Policy, data: st.DataObject
) -> None:
    stranger = data.draw(claim("stranger"))
    silent = set(Status) - BROKEN - counting(policy)
    status = data.draw(st.sampled_from(sorted(silent)))
    stranger = Claim(
        signer="stranger",
        release="1",
        name="n",
        status=status,
        signature=stranger.signature,
        artifacts=stranger.artifacts,
    )
    with_stranger, without = verdict([*found, stranger], policy), verdict(found, policy)
    assert with_stranger.outcome is without.outcome
    assert with_stranger.reasons == without.reasons
    assert with_stranger.persons == without.persons


@given(claims(max_size=5), POLICIES, st.data())
def test_a_broken_entry_never_helps(
    found: list[Claim], policy: Policy, data: st.DataObject
) -> None:
    broken = Claim(
        signer="mallory",
        release="1",
        name="n",
        status=data.draw(st.sampled_from(sorted(BROKEN))),
        artifacts=data.draw(st.one_of(st.none(), MANIFESTS)),
    )
    assert verdict([*found, broken], policy).outcome is Outcome.UNTRUSTED


@given(claims(), POLICIES)
def test_asking_for_more_persons_never_helps(found: list[Claim], policy: Policy) -> None:
    assert isinstance(policy.require, Anyone)
    stricter = replace(policy, require=Anyone(policy.require.minimum + 1))
    if verdict(found, policy).outcome is Outcome.UNTRUSTED:
        assert verdict(found, stricter).outcome is Outcome.UNTRUSTED


@given(claims(), POLICIES, COMPARED)
def test_every_state_fits_what_the_signer_lists(
    found: list[Claim], policy: Policy, to: str | None
) -> None:
    result = verdict(found, policy, to)
    for entry in result.signers:
        listed = set(entry.claim.artifacts or ())
        for path, state in entry.states.items():
            assert (path not in listed) == (state is State.NOT_BUILT)
        assert listed <= set(entry.states) or entry.claim.artifacts is None
    golden = next((e for e in result.signers if e.claim.signer == to), None)
    if golden is not None and golden.claim.artifacts is not None:
        assert set(golden.states.values()) <= {State.AGREE}


@given(claims(), POLICIES)
def test_totals_count_every_entry_once(found: list[Claim], policy: Policy) -> None:
    told = document([verdict(found, policy)], required="x")
    totals = told["totals"]
    assert isinstance(totals, dict)
    assert sum(totals.values()) == len(found)
