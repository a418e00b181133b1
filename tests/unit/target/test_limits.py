"""Which limits hold, and how the others are said."""

from __future__ import annotations

import os
import resource

import pytest

from gbuild.host import cgroup
from gbuild.target import limits
from gbuild.target.backend import Limits

_LIMITS = Limits(memory=1 << 30, cpus=1, processes=100, open_files=50, disk=1 << 20)
Made = list[cgroup.Caps]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """What a host without control groups was asked for."""
    asked: Made = []

    def make(_: str, caps: cgroup.Caps, __: object) -> cgroup.Group:
        asked.append(caps)
        return cgroup.Group(folders=(), held=frozenset())

    monkeypatch.setattr(cgroup, "make", make)
    return asked


def test_limits_that_do_not_hold_are_called_unlimited(made: Made) -> None:
    held = limits.hold("x", _LIMITS, on_tmpfs=True)
    assert held.facts["memory"] == f"unlimited (each process at most {1 << 30} bytes)"
    assert held.facts["processes"] == "unlimited (each user at most 100)"
    assert held.facts["cpus"] == "unlimited (started on 1 processors)"
    assert len(held.gaps) == 3
    assert held.resources[resource.RLIMIT_DATA] == (1 << 30, 1 << 30)
    assert held.resources[resource.RLIMIT_NPROC] == (100, 100)
    assert len(made) == 1


def test_limits_that_hold_are_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    every = cgroup.Group(folders=(), held=frozenset({"memory", "cpu", "pids"}))
    monkeypatch.setattr(cgroup, "make", lambda *_: every)
    held = limits.hold("x", _LIMITS, on_tmpfs=True)
    assert (held.facts["memory"], held.facts["cpus"]) == (str(1 << 30), "1")
    assert held.gaps == ()
    assert held.processors == ()
    assert resource.RLIMIT_DATA not in held.resources


def test_what_nobody_asked_for_is_no_gap(made: Made) -> None:
    held = limits.hold("x", Limits(processes=None), on_tmpfs=False)
    assert held.gaps == ()
    assert held.facts["memory"] == "unlimited"
    assert made[0].wanted == {}


@pytest.mark.parametrize(
    ("on_tmpfs", "expected"), [(True, (1 << 30) + (1 << 20)), (False, 1 << 30)]
)
def test_a_tmpfs_is_charged_to_its_writers(made: Made, *, on_tmpfs: bool, expected: int) -> None:
    limits.hold("x", _LIMITS, on_tmpfs=on_tmpfs)
    assert made[0].memory == expected


def test_targets_side_by_side_take_turns_on_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    chosen = [limits._processors(2) for _ in range(4)]
    assert all(len(processors) == 2 for processors in chosen)
    assert set(chosen[0]).isdisjoint(chosen[1])
    assert limits._processors(4) == ()
    assert limits._processors(None) == ()


def test_the_scratch_has_a_size_by_default() -> None:
    assert limits.scratch_size(Limits(disk=5)) == 5
    assert 0 < limits.scratch_size(Limits()) < limits.free_memory() * 2
