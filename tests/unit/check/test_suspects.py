"""What is guessed from the bytes, and when nothing is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gbuild.check import suspects as module
from gbuild.check.diagnose.causes import all_causes
from gbuild.check.diagnose.diagnosis import Diagnosis
from gbuild.check.suspects import suspects
from gbuild.check.variations import VARIATIONS
from gbuild.model.check import Trace

NAMES = tuple(variation.name for variation in VARIATIONS)


def seen(*causes: str, unknown: bool = False) -> Diagnosis:
    return Diagnosis(
        tuple(Trace(cause=c, where="", evidence="", mend="") for c in causes), unknown=unknown
    )


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        (["build-path"], ("build-path",)),
        (["build-path", "build-id"], ("build-path",)),
        (["hash-order"], ("hash-seed",)),
        (["parallelism"], ("cpus", "jobs")),
        (["user", "home"], ("home", "user")),
        (["timestamp"], ()),
    ],
)
def test_what_a_cause_in_the_bytes_makes_suspect(
    causes: Sequence[str], expected: tuple[str, ...]
) -> None:
    assert suspects({"a"}, NAMES, lambda _: seen(*causes)) == expected


def test_nothing_is_guessed_where_one_artefact_is_not_explained() -> None:
    found = {"a": seen("home"), "b": seen("home", unknown=True), "c": seen("timestamp")}
    assert suspects({"a"}, NAMES, found.__getitem__) == ("home",)
    assert suspects({"a", "b"}, NAMES, found.__getitem__) == ()
    assert suspects({"a", "c"}, NAMES, found.__getitem__) == ()


def test_nothing_is_guessed_where_that_would_take_more_builds() -> None:
    found = dict(zip("abcde", map(seen, ("home", "user", "umask", "locale", "jobs")), strict=True))
    assert len(suspects("abcd", NAMES, found.__getitem__)) == 4
    assert suspects("abcde", NAMES, found.__getitem__) == ()
    assert suspects("abcdefghi", NAMES, lambda path: pytest.fail(f"looked at {path}")) == ()


def test_what_is_not_varied_is_no_suspect() -> None:
    assert suspects({"a"}, ("umask",), lambda _: seen("home")) == ()


def test_every_cause_and_variation_that_is_named_exists() -> None:
    assert {cause.name for cause in all_causes()} >= module._MOVES.keys()
    assert {name for names in module._MOVES.values() for name in names} <= {*NAMES}
