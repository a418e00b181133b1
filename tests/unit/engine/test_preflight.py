"""All that is in the way is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.engine import preflight
from gbuild.engine.preflight import Host
from gbuild.errors import HostFailure
from gbuild.model.options import BuildOptions
from gbuild.target.backend import Finding

_MIB = 1 << 20
_WORK, _STORE = Path("/work"), Path("/store")


def test_every_problem_is_in_one_error() -> None:
    host = Host(free={_WORK: 1 * _MIB, _STORE: 2 * _MIB}, memory=100 * _MIB)
    problems = [
        *preflight.space_problems(host, {_WORK: 64 * _MIB, _STORE: 512 * _MIB}),
        *preflight.memory_problems(host, BuildOptions(memory=2000), 1),
        *preflight.missing(
            [Finding("uidmap", "missing", "newuidmap is not installed", "apt-get install uidmap")]
        ),
    ]
    with pytest.raises(HostFailure, match="not ready") as caught:
        preflight.refuse(problems)
    text = "\n".join(caught.value.details)
    assert "/work" in text
    assert "/store" in text
    assert "2000 MiB of memory" in text
    assert "apt-get install uidmap" in text


def test_one_problem_is_the_brief_and_its_mend_the_hint() -> None:
    with pytest.raises(HostFailure, match="newuidmap") as caught:
        preflight.refuse(
            preflight.missing([Finding("uidmap", "missing", "no newuidmap", "mend it")])
        )
    assert caught.value.hint == "mend it"


def test_enough_is_enough() -> None:
    host = Host(free={_WORK: 64 * _MIB}, memory=4000 * _MIB)
    preflight.refuse(preflight.space_problems(host, {_WORK: 64 * _MIB}))
    preflight.refuse(preflight.memory_problems(host, BuildOptions(memory=2000, parallel=2), 2))
    preflight.refuse(preflight.missing([Finding("limits", "limited", "no cgroups")]))


def test_only_jobs_that_run_side_by_side_count() -> None:
    host = Host(free={}, memory=4000 * _MIB)
    assert not preflight.memory_problems(host, BuildOptions(memory=2000, parallel=8), 2)
    assert preflight.memory_problems(host, BuildOptions(memory=2000, parallel=3), 4)


def test_scratch_in_memory_is_warned_about_and_on_disk_is_not() -> None:
    host = Host(free={}, memory=4000 * _MIB)
    assert preflight.memory_warnings(host, BuildOptions(memory=2000, disk=4000), 1)
    assert not preflight.memory_warnings(host, BuildOptions(memory=2000, disk=1000), 1)
    assert not preflight.memory_warnings(host, BuildOptions(scratch="disk", disk=4000), 1)


def test_this_host_can_be_asked(tmp_path: Path) -> None:
    host = preflight.look([tmp_path])
    assert host.free[tmp_path] > 0
    assert host.memory is None or host.memory > 0
