"""Find which variations break which artefacts, with few builds. Pure.

Group testing. The first round gives each of n variations a code word of t bits with t // 2 ones,
all different, and test i builds with the variations whose word has bit i; t is the smallest with
C(t, t // 2) >= n, so 6 for up to 20. Words of one weight never contain one another (Sperner
1928), which decides every artefact with one cause at once: each other variation took part in a
build that stayed the same, and was absent from one that broke. What is left (two causes and more,
or causes that break something only together) is found one test after the other: those that
split the remaining explanations most evenly, then a delta debugging as last resort.

The answers hold when what matters does so alone, or when one set does together. Truths that are
more tangled ("a with b, or c") can look like one of these: only a build with each named variation
alone would tell.

Who has suspects can do with less: one build with everything but them, and one with each alone.
When the former breaks something all the same, they were not all, and the first round follows.

All tests of :meth:`Search.next_tests` may be built side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

Variations = frozenset[str]

_MOST_CAUSES = 3
"""Explanations of more causes than this are not listed; delta debugging finds those."""

_FEW = 10
"""Of so many variations every subset is weighed as the next test."""


@dataclass(frozen=True, slots=True)
class Build:
    """One varied build: what was varied and the artefacts that were not the control's."""

    varied: Variations
    broken: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cause:
    """The answer for one artefact.

    ``any_of`` are sets of variations, each of which is enough to break it; a set of several
    breaks it only together. ``certain`` is False when the builds ran out first: then ``any_of``
    holds what may be it.
    """

    any_of: tuple[Variations, ...]
    certain: bool = True


def first_round(names: Sequence[str]) -> tuple[Variations, ...]:
    """Return the tests of the first round.

    The words are given in lexicographic order, so that neighbours in ``names`` share tests and
    the same names give the same tests.
    """
    if len(names) <= 1:
        return ()
    bits = next(t for t in range(2, 64) if comb(t, t // 2) >= len(names))
    words = list(combinations(range(bits), bits // 2))
    return tuple(
        frozenset(name for name, word in zip(names, words, strict=False) if bit in word)
        for bit in range(bits)
    )


class Search:
    """The builds so far, and which come next.

    Args:
        names: the variations, at least one.
        broken: the artefacts that the build with all of them broke.
        most: builds that may be asked for at most, None for no limit.
        suspects: the variations that are likely to be all that matter; none: nothing is known.
    """

    def __init__(
        self,
        names: Sequence[str],
        broken: Iterable[str],
        *,
        most: int | None = None,
        suspects: Iterable[str] = (),
    ) -> None:
        self._names = tuple(names)
        self._suspects = frozenset(suspects) & {*names}
        self._wanted = tuple(sorted(broken))
        self._most = most
        self.builds: list[Build] = []
        self._all = Build(frozenset(names), frozenset(self._wanted))
        self._answers: dict[str, Cause] = {}

    @property
    def causes(self) -> Mapping[str, Cause]:
        """What is known now, by artefact."""
        open_ones = {a: self._guess(a) for a in self._wanted if a not in self._answers}
        return {**self._answers, **open_ones}

    def next_tests(self) -> tuple[Variations, ...]:
        """Return the builds that are needed next; none when all is known or none are left."""
        self._settle()
        open_ones = [a for a in self._wanted if a not in self._answers]
        if not open_ones:
            return ()
        left = None if self._most is None else self._most - len(self.builds)
        if planned := self._planned(open_ones):
            return planned[:left]
        if left == 0:
            return ()
        known = {build.varied for build in self.builds} | {self._all.varied}
        tests = (self._better_test(artifact) for artifact in open_ones)
        found = tuple(dict.fromkeys(t for t in tests if t is not None and t not in known))
        return found[:1]

    def learn(self, build: Build) -> None:
        """Take the result of a build."""
        self.builds.append(build)

    def leave(self, artifacts: Iterable[str]) -> None:
        """Look no longer for what breaks these: they differ by themselves."""
        spared = set(artifacts)
        self._wanted = tuple(a for a in self._wanted if a not in spared)

    def _planned(self, wanted: Sequence[str]) -> tuple[Variations, ...]:
        """Return the tests that do not depend on one another: of the suspects, or of all."""
        others = frozenset(self._names) - self._suspects
        if not self._suspects or not others:
            return () if self.builds else first_round(self._names)
        if not self.builds:
            return (others,)
        if len(self.builds) > 1 or self.builds[0].varied != others:
            return ()
        if self.builds[0].broken.isdisjoint(wanted):
            return tuple(frozenset({name}) for name in self._in_order(self._suspects))
        return first_round(self._names)

    def _settle(self) -> None:
        for artifact in self._wanted:
            if artifact not in self._answers and (cause := self._proven(artifact)):
                self._answers[artifact] = cause

    def _tests(self, artifact: str) -> list[tuple[Variations, bool]]:
        return [(b.varied, artifact in b.broken) for b in (self._all, *self.builds)]

    def _proven(self, artifact: str) -> Cause | None:
        """Return the cause once every other explanation is ruled out."""
        tests = self._tests(artifact)
        if len(self._names) == 1:
            return Cause((frozenset(self._names),))
        together = self._together(tests)
        if together is not None:
            return Cause((together,))
        clean = _clean(tests)
        alone = {
            next(iter(rest))
            for varied, broke in tests
            if broke and len(rest := varied - clean) == 1 and _enough(next(iter(rest)), tests)
        }
        explained = all(varied & alone for varied, broke in tests if broke)
        if alone and explained and frozenset(self._names) - clean == alone:
            return Cause(tuple(frozenset({name}) for name in self._in_order(alone)))
        return None

    def _together(self, tests: Sequence[tuple[Variations, bool]]) -> Variations | None:
        """Return a set of several variations that is enough, each of them being needed."""
        failing = [varied for varied, broke in tests if broke]
        passing = [varied for varied, broke in tests if not broke]
        smallest = min(failing, key=len)
        if len(smallest) < 2 or not all(smallest <= varied for varied in failing):
            return None
        needed = all(any(smallest - {name} <= varied for varied in passing) for name in smallest)
        rest = frozenset(self._names) - smallest
        return smallest if needed and any(rest <= varied for varied in passing) else None

    def _better_test(self, artifact: str) -> Variations | None:
        """Return the test that tells most about an artefact's cause."""
        tests = self._tests(artifact)
        clean = _clean(tests)
        explanations = self._explanations(tests, clean)
        if not explanations:
            return (
                self._splitting_together(tests)
                or self._alone(tests, frozenset(self._names) - clean)
                or self._smaller_failure(tests)
            )
        if len(explanations) == 1:
            return self._confirming(explanations[0], tests)
        return _splitting(explanations, frozenset(self._names) - clean)

    def _explanations(
        self, tests: Sequence[tuple[Variations, bool]], clean: Variations
    ) -> list[Variations]:
        """Return the smallest sets of single causes that explain every test."""
        open_ones = self._in_order(frozenset(self._names) - clean)
        failing = [varied for varied, broke in tests if broke]
        for size in range(1, _MOST_CAUSES + 1):
            found = [
                set_
                for names in combinations(open_ones, size)
                if all((set_ := frozenset(names)) & varied for varied in failing)
            ]
            if found:
                return found
        return []

    def _splitting_together(self, tests: Sequence[tuple[Variations, bool]]) -> Variations | None:
        """Return a test for artefacts that one set of several variations breaks together."""
        failing = frozenset.intersection(*(varied for varied, broke in tests if broke))
        passing = [varied for varied, broke in tests if not broke]
        for size in range(2, _MOST_CAUSES + 1):
            found = [
                set_
                for names in combinations(self._in_order(failing), size)
                if not any((set_ := frozenset(names)) <= varied for varied in passing)
            ]
            if found:
                break
        else:
            return None
        if len(found) > 1:
            return _keeping_half(found)
        needed = [found[0] - {name} for name in self._in_order(found[0])]
        wanted = (found[0], *needed, frozenset(self._names) - found[0])
        known = {varied for varied, broke in tests if broke}
        return next((t for t in wanted if t not in known and not _within(t, passing)), None)

    def _alone(
        self, tests: Sequence[tuple[Variations, bool]], names: Variations
    ) -> Variations | None:
        """Return one variation that was not yet varied alone: there are many causes."""
        tried = {varied for varied, _ in tests}
        return next((t for n in self._in_order(names) if (t := frozenset({n})) not in tried), None)

    def _confirming(
        self, causes: Variations, tests: Sequence[tuple[Variations, bool]]
    ) -> Variations | None:
        """Return a test that shows that nothing else is a cause, or that one is enough."""
        rest = frozenset(self._names) - causes
        if rest - _clean(tests):
            return rest
        for name in self._in_order(causes):
            if not _enough(name, tests):
                return frozenset({name})
        return self._smaller_failure(tests)

    def _smaller_failure(self, tests: Sequence[tuple[Variations, bool]]) -> Variations | None:
        """Take a part out of the smallest build that broke: a step of delta debugging."""
        failing = min((varied for varied, broke in tests if broke), key=len)
        names = self._in_order(failing)
        tried = {varied for varied, _ in tests}
        parts = 2
        while parts <= 2 * len(names):
            size = max(1, -(-len(names) // parts))
            for start in range(0, len(names), size):
                part = frozenset(names[start : start + size])
                for test in (failing - part, part):
                    if test and test not in tried:
                        return test
            parts *= 2
        rest = frozenset(self._names) - failing
        return rest if rest and rest not in tried else None

    def _guess(self, artifact: str) -> Cause:
        tests = self._tests(artifact)
        found = self._explanations(tests, _clean(tests)) or [
            min((varied for varied, broke in tests if broke), key=len)
        ]
        names = frozenset().union(*found)
        return Cause(tuple(frozenset({n}) for n in self._in_order(names)), certain=False)

    def _in_order(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=self._names.index)


def _clean(tests: Sequence[tuple[Variations, bool]]) -> Variations:
    """Return the variations that took part in a build that stayed the same."""
    return frozenset().union(*(varied for varied, broke in tests if not broke))


def _enough(name: str, tests: Sequence[tuple[Variations, bool]]) -> bool:
    """Say whether no other variation took part in every build that ``name`` may have broken.

    A second one that breaks the artefact only together with ``name`` would have.
    """
    failing = [varied for varied, broke in tests if broke and name in varied]
    return bool(failing) and frozenset.intersection(*failing) == {name}


def _within(test: Variations, passing: Iterable[Variations]) -> bool:
    return any(test <= varied for varied in passing)


def _keeping_half(sets: Sequence[Variations]) -> Variations:
    """Return a test that holds about half of the sets whole; taken away greedily."""
    chosen = frozenset().union(*sets)

    def kept(test: Variations) -> float:
        return abs(sum(1 for one in sets if one <= test) - len(sets) / 2)

    while True:
        less = min((chosen - {name} for name in sorted(chosen)), key=kept)
        if kept(less) >= kept(chosen):
            return chosen
        chosen = less


def _splitting(explanations: Sequence[Variations], names: Variations) -> Variations:
    """Return a small test that about half of the explanations say will break."""

    def unevenness(test: Iterable[str]) -> float:
        chosen = frozenset(test)
        return abs(sum(1 for e in explanations if e & chosen) - len(explanations) / 2)

    ordered = sorted(names)
    if len(ordered) <= _FEW:
        sizes = range(1, len(ordered) + 1)
        return frozenset(min((t for n in sizes for t in combinations(ordered, n)), key=unevenness))
    chosen: frozenset[str] = frozenset()
    while True:
        more = min((chosen | {name} for name in ordered), key=unevenness)
        if chosen and unevenness(more) >= unevenness(chosen):
            return chosen
        chosen = more
