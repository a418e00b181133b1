"""What no policy may bring the judge to say, and what rules mean."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from gbuild.model.policy import Anyone, ForArtifacts, Group, Member, Person, Policy, Rule
from gbuild.model.verdict import Claim, Evidence, Outcome, Signature, Status
from gbuild.verify.explain import explain
from gbuild.verify.judge import judge
from gbuild.verify.policy import describe, enough, needed

NOW, DAY = 1_700_000_000, 86_400
NAMES = ("alice", "bob", "carol", "dave")
PERSONS = st.frozensets(st.sampled_from(NAMES))


def groups(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    who: st.SearchStrategy[str | Anyone | Group] = st.sampled_from(NAMES) | inner
    members = st.lists(st.builds(Member, who, st.integers(1, 3)), min_size=1, max_size=3)
    return members.flatmap(
        lambda all_of: st.builds(
            Group,
            members=st.just(tuple(all_of)),
            minimum=st.integers(1, sum(each.weight for each in all_of)),
        )
    )


RULES: st.SearchStrategy[Rule] = st.recursive(
    st.builds(Anyone, st.integers(0, 4)), groups, max_leaves=5
)


@given(RULES, PERSONS, PERSONS)
def test_more_persons_never_break_a_rule(
    rule: Rule, some: frozenset[str], more: frozenset[str]
) -> None:
    if enough(rule, some):
        assert enough(rule, some | more)


@given(RULES)
def test_a_rule_that_everybody_satisfies_has_words(rule: Rule) -> None:
    assert needed(rule)
    assert needed(rule).isprintable()


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), PERSONS, st.data())
def test_k_of_n_counts_heads(
    names: list[str], present: frozenset[str], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(1, len(names)))
    rule = Group(tuple(Member(name) for name in names), wanted)
    assert enough(rule, present) == (len(present & set(names)) >= wanted)


KEYS = {name: name.upper() for name in NAMES}
POLICIES = st.builds(
    Policy,
    persons=st.lists(st.sampled_from(NAMES), unique=True).map(
        lambda names: tuple(Person(name=name, keys=frozenset({KEYS[name]})) for name in names)
    ),
    require=RULES,
    artifacts=st.lists(
        st.builds(ForArtifacts, st.sampled_from([("a*",), ("b", "c")]), RULES), max_size=2
    ).map(tuple),
    weak=st.sampled_from([frozenset(), frozenset({"SHA1"}), frozenset({"*"})]),
    expired=st.booleans(),
    maximum_age=st.sampled_from([None, DAY, 100 * DAY]),
    minimum_age=st.sampled_from([None, DAY, 100 * DAY]),
    copies=st.booleans(),
    broken=st.just(frozenset()),
)
SEEN = st.sampled_from([None, NOW - 200 * DAY, NOW - 10 * DAY, NOW])


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    status = draw(st.sampled_from(Status))
    name = draw(st.sampled_from(NAMES))
    seen = draw(SEEN)
    return Claim(
        signer=draw(st.sampled_from([name, "another"])),
        release="1",
        name="n",
        status=status,
        findings=(status,),
        signature=Signature(
            status=Status.GOOD if status in {Status.WEAK, Status.WRONG_NAME} else status,
            fingerprint=KEYS[name],
            created=draw(st.sampled_from([None, NOW - 50 * DAY, NOW - DAY, NOW + 9 * DAY])),
            key_expires=draw(st.sampled_from([None, NOW - 100 * DAY])),
            weaknesses=("SHA1",) if status is Status.WEAK else (),
        ),
        artifacts=draw(
            st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1" * 64, "2" * 64]))
        ),
        evidence=None if seen is None else Evidence(seen=seen, source="x"),
        record=draw(st.sampled_from([None, "same"])),
    )


@given(POLICIES, st.lists(claims(), max_size=5))
def test_who_counts_may_count_and_what_passes_is_vouched_for(
    policy: Policy, given_claims: list[Claim]
) -> None:
    verdict = judge("1", "n", given_claims, policy=policy, at=NOW)
    votes: dict[str, set[str]] = {}
    for entry in verdict.signers:
        assert entry.counted == (entry.objection is None)
        if entry.counted:
            may_count(policy, entry.claim)
            for path in entry.claim.artifacts or {}:
                votes.setdefault(path, set()).add(entry.person)
    if verdict.outcome is Outcome.AGREE:
        assert votes
        for path, persons in votes.items():
            assert enough(policy.rule(path), persons), path
    assert all(sentence.isprintable() for sentence in explain(verdict, policy))
    assert describe(policy).isprintable()


def may_count(policy: Policy, claim: Claim) -> None:
    signature, seen = claim.signature, claim.evidence.seen if claim.evidence else None
    assert signature is not None
    assert claim.status in {Status.GOOD, Status.WEAK, Status.EXPIRED_KEY}
    if claim.status is Status.EXPIRED_KEY:
        assert policy.expired
        assert seen is not None
        assert signature.key_expires is not None
        assert seen < signature.key_expires
    if claim.status is Status.WEAK:
        assert any(fnmatchcase("SHA1", accepted) for accepted in policy.weak)
    if policy.persons:
        assert any(claim.fingerprint in person.keys for person in policy.persons)
    if policy.minimum_age is not None:
        assert seen is not None
        assert NOW - seen >= policy.minimum_age
    assert signature.created is None or signature.created <= NOW + DAY
