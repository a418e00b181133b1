"""How good the diagnosers are on pairs that were written without a look at them.

The counts at first sight, before anything was mended for them, are in docs/reference/causes.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gbuild.check.diagnose.diagnosis import diagnose

from .held_out import Pair, objects, texts
from .held_out_archives import archives
from .held_out_later import second
from .held_out_third import mended_for, run_once
from .held_out_unseen import eighth, fifth, fourth, seventh, sixth

PAGE = Path(__file__).parents[3] / "docs/reference/causes.md"

FOLLOWING = {"build-id", "digest"}
"""Causes that only follow others: they count neither way."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Labels that were named and missed, names that no label has, and pairs called unknown."""

    right: int
    wrong: tuple[str, ...]
    missed: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def precision(self) -> float:
        """How many of the named causes were true."""
        return self.right / (self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        """How many of the labelled causes were named."""
        return self.right / (self.right + len(self.missed))


def first() -> list[Pair]:
    """The pairs that were there before the diagnosers were mended."""
    return [*texts("held_out_first.txt"), *objects(), *archives()]


def count(pairs: Iterable[Pair]) -> Counts:
    """Diagnose all pairs and count."""
    right, wrong, missed, unknown = 0, [], [], []
    for pair in pairs:
        found = diagnose(pair.name, pair.first, pair.second)
        named = {trace.cause for trace in found.traces} - FOLLOWING
        labels = pair.causes - FOLLOWING
        right += len(named & labels)
        wrong += [f"{pair.name}: {cause}" for cause in sorted(named - labels - pair.also)]
        missed += [f"{pair.name}: {cause}" for cause in sorted(labels - named)]
        unknown += [pair.name] * (found.unknown and bool(labels))
    return Counts(right, tuple(wrong), tuple(missed), tuple(unknown))


def test_the_pairs_are_many_and_some_have_no_cause() -> None:
    pairs = first()
    assert len({pair.name for pair in pairs}) == len(pairs) == 113
    assert sum(not pair.causes for pair in pairs) >= 15
    assert all(pair.first != pair.second for pair in pairs)


def test_few_names_are_wrong_and_few_are_missed_when_the_sides_are_exchanged() -> None:
    _judge(count([_turned(pair) for pair in first()]))


def _turned(pair: Pair) -> Pair:
    return replace(pair, first=pair.second, second=pair.first)


def _judge(counts: Counts) -> None:
    assert counts.precision >= 0.98, counts.wrong
    assert counts.recall >= 0.9, counts.missed


def test_the_second_set_is_large_enough() -> None:
    pairs = second()
    assert len({pair.name for pair in pairs}) == len(pairs) == 37
    assert all(pair.first != pair.second for pair in pairs)


def test_the_third_set_is_large_enough() -> None:
    pairs = [*mended_for(), *run_once()]
    assert len({pair.name for pair in pairs}) == len(pairs)
    assert (len(mended_for()), len(run_once())) == (97, 78)
    assert sum(not pair.causes for pair in run_once()) == 14
    assert all(pair.first != pair.second for pair in pairs)


@pytest.mark.parametrize(
    ("pairs", "size", "none"),
    [
        (fourth(), 116, 29),
        (fifth(), 178, 41),
        (sixth(), 177, 41),
        (seventh(), 139, 33),
        (eighth(), 140, 34),
    ],
)
def test_the_later_sets_are_large_enough(pairs: list[Pair], size: int, none: int) -> None:
    assert len({pair.name for pair in pairs}) == len(pairs) == size
    assert sum(not pair.causes for pair in pairs) == none
    assert all(pair.first != pair.second for pair in pairs)


@pytest.mark.parametrize(
    ("row", "pairs"),
    [
        ("first set, after mending", first()),
        ("second set", second()),
        ("third set, first half, after mending", mended_for()),
        ("third set, second half, after mending", run_once()),
        ("fourth set, after mending", fourth()),
        ("fifth set, after mending", fifth()),
        ("sixth set, after mending", sixth()),
        ("seventh set, after mending", seventh()),
        ("eighth set", eighth()),
    ],
)
def test_few_are_wrong_or_missed_and_the_page_tells_how_many(row: str, pairs: list[Pair]) -> None:
    counts = count(pairs)
    _judge(counts)
    numbers = (counts.right, len(counts.wrong), len(counts.missed), len(counts.unknown))
    assert f"| {row} | {' | '.join(map(str, numbers))} |\n" in PAGE.read_text(), counts
