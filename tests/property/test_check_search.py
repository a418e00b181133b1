"""The search finds exactly the causes there are, within the builds that it may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.check.search import Build, Cause, Search, first_round

NAMES = [f"v{number:02}" for number in range(20)]
Sets = Sequence[frozenset[str]]


def search(
    names: Sequence[str],
    truth: Mapping[str, Sets],
    most: int | None = None,
    suspects: Sequence[str] = (),
) -> Search:
    """Let a search learn from builds in which each artefact breaks by any of its sets."""
    found = Search(names, truth, most=most, suspects=suspects)
    while tests := found.next_tests():
        for test in tests:
            broken = {a for a, sets in truth.items() if any(s <= test for s in sets)}
            found.learn(Build(test, frozenset(broken)))
    return found


def singles(*names: str) -> list[frozenset[str]]:
    return [frozenset({name}) for name in names]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 20])
def test_one_cause_takes_at_most_six_builds(count: int) -> None:
    for name in NAMES[:count]:
        found = search(NAMES[:count], {"a": singles(name)})
        assert found.causes == {"a": Cause((frozenset({name}),))}
        assert len(found.builds) <= 6


def test_two_causes_take_at_most_eleven_builds() -> None:
    for pair in combinations(NAMES, 2):
        found = search(NAMES, {"a": singles(*pair)})
        assert found.causes == {"a": Cause(tuple(singles(*pair)))}, pair
        assert len(found.builds) <= 11, pair


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_a_right_guess_takes_one_build_more_than_there_are_suspects(count: int) -> None:
    for size in range(1, min(count, 5)):
        guess = NAMES[count - size : count]
        found = search(
            NAMES[:count], {f"a-{n}": singles(n) for n in guess}, suspects=[*guess, "unheard"]
        )
        assert found.causes == {f"a-{n}": Cause((frozenset({n}),)) for n in guess}
        assert len(found.builds) == 1 + size


def test_a_guess_with_one_too_many_is_proven_too() -> None:
    for pair in combinations(NAMES[:7], 2):
        found = search(NAMES, {"a": singles(pair[0])}, suspects=pair)
        assert found.causes == {"a": Cause((frozenset({pair[0]}),))}
        assert len(found.builds) == 3


def test_a_wrong_guess_takes_one_build_more() -> None:
    for name in NAMES[1:]:
        found = search(NAMES, {"a": singles(name)}, suspects=NAMES[:1])
        assert found.causes == {"a": Cause((frozenset({name}),))}
        assert len(found.builds) <= 7


def test_a_guess_that_holds_for_half_of_the_artefacts_is_not_believed_for_the_rest() -> None:
    for name in NAMES[1:]:
        truth = {"a": singles(NAMES[0]), "b": singles(name)}
        found = search(NAMES, truth, suspects=NAMES[:1])
        assert found.causes == {
            "a": Cause((frozenset({NAMES[0]}),)), "b": Cause((frozenset({name}),))
        }  # fmt: skip


@given(
    st.sets(st.sampled_from(NAMES[:9]), min_size=1, max_size=4),
    st.lists(st.sets(st.sampled_from(NAMES[:9]), min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_whatever_the_guess_the_search_explains_every_build(
    guess: set[str], drawn: list[set[str]]
) -> None:
    truth = [frozenset(one) for one in drawn]
    found = search(NAMES[:9], {"a": truth}, most=60, suspects=sorted(guess))
    cause = found.causes["a"]
    assert len(found.builds) <= 60
    if cause.certain:
        for build in found.builds:
            assert ("a" in build.broken) == any(one <= build.varied for one in cause.any_of)


def test_nothing_is_sought_for_what_differs_by_itself() -> None:
    found = Search(NAMES, ["a", "b"], suspects=NAMES[:1])
    (test,) = found.next_tests()
    found.learn(Build(test, frozenset({"b"})))
    found.leave({"b"})
    assert found.next_tests() == (frozenset(NAMES[:1]),)
    found.leave({"a"})
    assert found.next_tests() == ()
    assert found.causes == {}


def test_two_that_break_something_only_together_are_found() -> None:
    for pair in list(combinations(NAMES, 2))[::3]:
        found = search(NAMES, {"a": [frozenset(pair)]})
        assert found.causes == {"a": Cause((frozenset(pair),))}, pair
        assert len(found.builds) <= 13, pair


def test_the_words_of_the_first_round_never_contain_one_another() -> None:
    for count in range(2, 36):
        names = [f"n{number}" for number in range(count)]
        tests = first_round(names)
        words = [frozenset(i for i, test in enumerate(tests) if name in test) for name in names]
        assert not any(one <= two for one in words for two in words if one is not two)


@given(
    st.lists(
        st.lists(st.sampled_from(NAMES[:12]), min_size=1, max_size=3, unique=True),
        min_size=1,
        max_size=4,
    )
)
def test_each_of_several_artefacts_gets_its_own_causes(drawn: list[list[str]]) -> None:
    truth = {f"a{number}": singles(*names) for number, names in enumerate(drawn)}
    found = search(NAMES[:12], truth)
    for artifact, sets in truth.items():
        assert found.causes[artifact].certain
        assert set(found.causes[artifact].any_of) == set(sets)


@given(
    st.lists(st.sets(st.sampled_from(NAMES[:9]), min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_whatever_the_truth_the_search_ends_and_explains_every_build(drawn: list[set[str]]) -> None:
    truth = [frozenset(one) for one in drawn]
    found = search(NAMES[:9], {"a": truth}, most=60)
    sets = found.causes["a"].any_of
    assert len(found.builds) <= 60
    if found.causes["a"].certain:
        for build in found.builds:
            assert ("a" in build.broken) == any(one <= build.varied for one in sets)


def test_a_search_that_may_not_go_on_says_that_it_is_not_certain() -> None:
    found = search(NAMES, {"a": singles("v03", "v11")}, most=6)
    assert len(found.builds) == 6
    assert not found.causes["a"].certain
    assert {frozenset({"v03"}), frozenset({"v11"})} <= set(found.causes["a"].any_of)
