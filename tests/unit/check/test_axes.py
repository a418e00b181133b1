"""What is varied, and what only on request: who can, and why not."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import jsonschema
import pytest

from gbuild.check import axes
from gbuild.check.axes import AXES
from gbuild.check.builds import Place
from gbuild.check.document import axis, variation
from gbuild.check.variations import LATER, VARIATIONS, Conditions, Grounds, control, vary
from gbuild.errors import UsageFailure
from gbuild.formats.descriptor import parse_descriptor
from gbuild.host import disorder
from gbuild.model.check import CheckBuild, CheckedArtifact, Reproducible, Tried
from gbuild.model.event import Event
from gbuild.model.options import BuildOptions
from gbuild.model.surroundings import USUAL
from gbuild.ui import check_text

SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gcheck.schema.json"
TEXT = b"""\
name: prog
distro: debian
suites: [bookworm]
architectures: [amd64]
packages: [make]
reference_datetime: "2026-01-01 12:00:00"
script: "true"
"""
NOTHING = Grounds(
    descriptor=parse_descriptor(TEXT, path="prog.yml"),
    backend="toy",
    varies=frozenset(),
    processors=(3,),
)
ALL = replace(
    NOTHING,
    varies=frozenset(
        {"ids", "home", "processors", "clock", "wall", "model", "scratch", "personality"}
        | {"addresses"}
    ),
    processors=(3, 5),
)
WITH_FAKETIME = replace(
    ALL, descriptor=parse_descriptor(TEXT.replace(b"make", b"faketime"), path="prog.yml")
)
CONDITIONS = Conditions(options=BuildOptions(), surroundings=USUAL, processors=(3, 5))
BUILD = CheckBuild(
    number=3, kind="axis", varied=("time=9",), artifacts=(), folder=Path(), seconds=1.0
)


def test_what_a_backend_cannot_is_said_and_left_as_it_is() -> None:
    cannot = {v.name for v in VARIATIONS if v.missing(NOTHING)}
    assert cannot == {
        "home", "ids", "cpus", "cpu-model", "boot-clock", "wall-clock", "kernel-version",
        "addresses", "file-system", "cache",
    }  # fmt: skip
    assert {v.name for v in VARIATIONS if v.missing(ALL)} == {"cache"}
    assert all(v.needs for v in VARIATIONS if v.missing(NOTHING))
    left = control(CONDITIONS, NOTHING).surroundings
    assert (left.home, left.random_addresses) == (None, True)


def test_every_variation_that_can_be_had_changes_something() -> None:
    usual = control(CONDITIONS, ALL)
    possible = [v for v in VARIATIONS if not v.missing(ALL)]
    assert all(vary(usual, [v]) != usual for v in possible)
    assert all(v.missing(ALL) for v in VARIATIONS if vary(usual, [v]) == usual)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("moon", "nothing that can be varied"),
        ("backend", "is not backend=NAME"),
        ("backend=", "is not backend=NAME"),
        ("faketime=3", "is not faketime"),
        ("time=soon", "seconds are from 1 to"),
        ("time=0", "seconds are from 1 to"),
        ("time=\N{SUPERSCRIPT TWO}", "seconds are from 1 to"),
    ],
)
def test_words_that_are_no_axis_are_refused(word: str, said: str) -> None:
    with pytest.raises(UsageFailure, match=said):
        axes.asked([word])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("faketime", "the target has no faketime"),
        ("architecture", platform.machine()),
        ("backend=toy", "the backend of all other builds"),
        ("directory-order", "the backend toy cannot"),
    ],
)
def test_what_cannot_be_done_here_is_refused(word: str, said: str) -> None:
    with pytest.raises(UsageFailure, match=said):
        axes.refuse_missing(axes.asked([word]), ALL)


def test_the_order_of_directories_takes_a_program_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = axes.asked(["directory-order"])
    able = replace(ALL, varies=ALL.varies | {"order"})
    monkeypatch.setattr(disorder, "missing", lambda: "")
    axes.refuse_missing(wanted, able)
    monkeypatch.setattr(disorder, "missing", lambda: "no disorderfs")
    with pytest.raises(UsageFailure, match="no disorderfs"):
        axes.refuse_missing(wanted, able)


def test_what_an_axis_changes_is_one_thing() -> None:
    told: list[Event] = []
    usual = control(CONDITIONS, WITH_FAKETIME)
    elsewhere = axes.Elsewhere(
        usual=usual,
        grounds=WITH_FAKETIME,
        place=cast("Place", SimpleNamespace(parts=SimpleNamespace(sink=told.append))),
        descriptor=Path("prog.yml"),
        backends=lambda _name: pytest.fail("no other backend is wanted"),
    )
    clock, later, order = map(
        elsewhere.order, axes.asked(["faketime", "time=9", "directory-order"])
    )
    more = dict(clock.conditions.surroundings.environment)
    assert more.keys() - dict(usual.surroundings.environment) == {
        "LD_PRELOAD", "FAKETIME", "NO_FAKE_STAT", "FAKETIME_DONT_FAKE_MONOTONIC"
    }  # fmt: skip
    assert more["FAKETIME"] == f"+{LATER}"
    assert [event.text for event in told] == [axes.FAKETIME_WARNING]
    assert (later.apart, later.conditions) == (9.0, usual)
    changed = order.conditions.surroundings
    assert (changed.reversed_order, replace(changed, reversed_order=False)) == (
        True,
        usual.surroundings,
    )


def test_each_is_asked_for_once() -> None:
    words = ["time=9", "backend=lxc", "time=9", "faketime"]
    wanted = axes.asked(words)
    assert [one.words for one in wanted] == ["time=9", "backend=lxc", "faketime"]
    axes.refuse_missing(wanted, WITH_FAKETIME)


def test_what_was_not_asked_for_is_shown_as_not_run() -> None:
    found = axes.untried(NOTHING)
    assert [(one.name, one.state) for one in found] == [(a.name, "not run") for a in AXES]
    assert "no: the target has no faketime" in check_text.axes(found)


def test_what_differs_by_itself_says_nothing_of_an_axis() -> None:
    kinds = {"a": Reproducible.YES, "b": Reproducible.UNSTABLE, "c": Reproducible.SENSITIVE}
    artifacts = [
        CheckedArtifact(path=path, sha256="0" * 64, verdict=verdict)
        for path, verdict in kinds.items()
    ]
    wanted = axes.asked(["time=9"])

    def state(build: CheckBuild) -> tuple[str, tuple[str, ...]]:
        (one,) = (a for a in axes.results(wanted, [build], artifacts, ALL) if a.name == "time")
        return one.state, one.differing

    same = replace(BUILD, artifacts=(("a", "0" * 64), ("b", "1" * 64), ("c", "0" * 64)))
    assert state(same) == ("same", ())
    assert state(replace(BUILD, artifacts=(("a", "1" * 64),))) == ("differs", ("a", "c"))
    assert state(replace(BUILD, failure="it failed")) == ("failed", ())


def test_the_list_follows_its_schema() -> None:
    tried = [
        Tried(name=v.name, control="c", varied="v", needs=v.needs, missing=v.missing(NOTHING))
        for v in VARIATIONS
    ]
    found = {
        "format": "gbuild.gcheck/1",
        "backend": "toy",
        "variations": [variation(one) for one in tried],
        "axes": [axis(one) for one in axes.untried(NOTHING)],
    }
    jsonschema.validate(json.loads(json.dumps(found)), json.loads(SCHEMA.read_text()))
    table = check_text.variations(tried, backend="toy", width=100)
    assert "here, toy" in table
    assert max(map(len, table.splitlines())) <= 100
