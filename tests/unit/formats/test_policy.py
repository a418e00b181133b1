"""Policy files: what they mean, and every way to get one wrong, with its place."""

from __future__ import annotations

import pytest

from gbuild.formats.policy import PolicyInvalid, read_policy
from gbuild.model.policy import Anyone, Group, Member, Policy
from gbuild.verify.policy import describe, enough

A, B, C = "A" * 40, "B" * 40, "C" * 40
PERSONS = f"persons: {{alice: {A}, bob: {{keys: [{B}], signers: [bob]}}, carol: }}\n"
HEAD = f"format: gbuild.policy/1\n{PERSONS}"


def read(text: str, head: str = HEAD) -> Policy:
    return read_policy((head + text).encode(), path="p.yml")


def refused(text: str, head: str = HEAD) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        read(text, head)
    assert caught.value.exit_code == 2
    return "\n".join((caught.value.brief, *caught.value.details))


def passes(rule: str, *persons: str) -> bool:
    return enough(read(f"require: {rule}").require, persons)


@pytest.mark.parametrize(
    ("rule", "enough_of", "not_enough"),
    [
        ("alice", ["alice"], ["bob", "carol"]),
        ("anyone", ["x"], []),
        ("nobody", [], None),
        ("{any: [alice, bob]}", ["bob"], ["carol"]),
        ("{all: [alice, bob]}", ["alice", "bob"], ["alice", "carol"]),
        ("{at_least: 2, of: [alice, bob, carol]}", ["alice", "carol"], ["bob", "x", "y"]),
        ("{at_least: 3, of: anyone}", ["x", "y", "z"], ["x", "y", "x"]),
        (
            "{at_least: 100, weights: {alice: 60, bob: 40, carol: 50}}",
            ["alice", "bob"],
            ["bob", "carol"],
        ),
        ("{all: [{at_least: 2, of: anyone}, {any: [alice, bob]}]}", ["x", "bob"], ["x", "y"]),
    ],
)
def test_rules(rule: str, enough_of: list[str], not_enough: list[str] | None) -> None:
    assert passes(rule, *enough_of)
    if not_enough is not None:
        assert not passes(rule, *not_enough)


def test_groups_have_names_and_may_stand_in_others() -> None:
    policy = read("groups: {top: {all: [core, carol]}, core: {any: [alice, bob]}}\nrequire: top\n")
    core = Group((Member("alice"), Member("bob")), 1, name="core")
    assert policy.require == Group((Member(core), Member("carol")), 2, name="top")
    assert "top (all of core (any of alice, bob), carol)" in describe(policy)


def test_the_first_glob_that_fits_has_its_rule() -> None:
    policy = read(
        "require: anyone\nartifacts:\n- {match: '*.exe', require: bob}\n"
        "- {match: ['*', x], require: nobody}\n"
    )
    assert policy.rule("win/a.exe") == Group((Member("bob"),), 1)
    assert policy.rule("a.tar") == Anyone(0)


def test_the_other_keys() -> None:
    policy = read(
        "require: anyone\nweak_signatures: [SHA1, DSA-*]\nexpired_keys: with-evidence\n"
        "maximum_age: 2 years\nminimum_age: 3 days\ncopies: once\nbroken_entries: ignore\n"
    )
    assert (policy.weak, policy.expired) == (frozenset({"SHA1", "DSA-*"}), True)
    assert (policy.maximum_age, policy.minimum_age) == (730 * 86_400, 3 * 86_400)
    assert (policy.copies, policy.broken) == (False, frozenset())
    said = describe(policy)
    for words in ("not older than 730 days", "known for at least 3 days", "of 3 named persons"):
        assert words in said


def test_persons() -> None:
    alice, bob, carol = read("require: anyone\n").persons
    assert [set(each.keys) for each in (alice, bob, carol)] == [{A}, {B}, set()]
    assert set(bob.signers) == {"bob"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no require"),
        (
            "require: alicia\n",
            "p.yml:3:10: 'alicia' is no person and no group, did you mean alice?",
        ),
        (
            "require: anyone\nrequires: bob\n",
            "unknown key 'requires' in a policy, did you mean require?",
        ),
        ("require: [alice]\n", "a rule is not a list"),
        ("require: {any: [alice], all: [bob]}\n", "a rule says one thing"),
        ("require: {at_least: 3, of: [alice, bob]}\n", "at_least is 3, but all together are 2"),
        ("require: {at_least: 0, of: anyone}\n", "at_least is no number"),
        ("require: {at_least: 2, any: [alice]}\n", "at_least has no meaning beside any"),
        ("require: {at_least: 2, of: [alice, alice]}\n", "alice would count more than once"),
        (
            "require: {at_least: 2, of: [alice, {any: [alice, bob]}]}\n",
            "alice would count more than once",
        ),
        ("require: {at_least: 2, of: [anyone, alice]}\n", "would count more than once"),
        ("require: {at_least: 9, weights: {alice: x}}\n", "the weight of alice is no number"),
        ("require: {any: []}\n", "a rule without members"),
        (
            "groups: {a: {any: [b]}, b: {all: [a]}}\nrequire: a\n",
            "groups without an end: a in b in a",
        ),
        ("groups: {alice: bob}\nrequire: alice\n", "alice is a person already"),
        ("groups: {anyone: bob}\nrequire: bob\n", "has a meaning of its own"),
        ("require: bob\nartifacts: [{match: [], require: bob}]\n", "match is no glob"),
        ("require: bob\nartifacts: [{match: x}]\n", "a rule for artefacts has no require"),
        ("require: bob\nmaximum_age: 2 yeers\n", "no length of time, did you mean year?"),
        ("require: bob\nexpired_keys: yes\n", "unknown expired_keys 'yes'"),
        ("require: bob\nweak_signatures: ['SHA 1']\n", "not a weakness"),
        ("require: &a bob\n", "anchor"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    assert said in refused(text)


@pytest.mark.parametrize(
    ("persons", "said"),
    [
        ("alice: 12345678", "not a fingerprint"),
        ("alice: []", "an empty list of keys"),
        (f"alice: {A}\n  bob: {A}", f"the key '{A}' stands on line 3 already"),
        (f"alice: {A}\n  Alice: {B}", "person 'Alice' stands on line 3 already"),
        ("'a b': ", "a person's name"),
    ],
)
def test_persons_that_are_wrong(persons: str, said: str) -> None:
    head = f"format: gbuild.policy/1\npersons:\n  {persons}\n"
    assert said in refused("require: anyone\n", head)


def test_groups_cannot_be_made_to_explode() -> None:
    groups = ["g0: {any: [alice, bob]}"]
    groups += [f"g{n}: {{all: [{', '.join([f'g{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    assert "has more than 10000 members" in refused(
        f"groups: {{{', '.join(groups)}}}\nrequire: g11\n"
    )
    chain = ", ".join(["c0: alice", *(f"c{n}: c{n - 1}" for n in range(1, 2000))])
    assert "groups without an end" in refused(
        f"groups: {{{', '.join(reversed(chain.split(', ')))}}}\nrequire: c1999\n"
    )


@pytest.mark.parametrize("data", [b"", b"- a", b"\xff", b"format: 2\nrequire: anyone", b"{" * 99])
def test_what_is_no_policy(data: bytes) -> None:
    with pytest.raises(PolicyInvalid):
        read_policy(data, path="p.yml")
