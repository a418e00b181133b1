"""A build cannot take more than it was given, and the host is unharmed when it tries."""

from __future__ import annotations

import os

import pytest

from gbuild.backends.userns import UsernsBackend
from gbuild.model.event import Event
from gbuild.target.backend import Limits

from .conftest import StartTarget, out, sh

_MEBI = 1 << 20


def test_a_full_tmpfs_is_enospc_inside(start: StartTarget) -> None:
    machine = start(limits=Limits(disk=64 * _MEBI, inodes=1000))
    done = sh(machine, "dd if=/dev/zero of=/tmp/big bs=1M count=100")
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    shared = sh(machine, "dd if=/dev/zero of=/dev/shm/big bs=1M count=100")
    assert b"No space left" in shared.stderr
    out(machine, "rm /tmp/big; echo again >/tmp/small")
    assert machine.facts["disk"] == str(64 * _MEBI)


def test_too_many_files_are_enospc_inside(start: StartTarget) -> None:
    machine = start(limits=Limits(disk=64 * _MEBI, inodes=500))
    done = sh(machine, "for n in {1..600}; do : >/tmp/$n || exit 9; done")
    assert done.returncode == 9
    assert b"No space left" in done.stderr


def test_processes_are_limited(start: StartTarget) -> None:
    machine = start(limits=Limits(processes=60, disk=64 * _MEBI))
    bomb = "import os\nfor n in range(100): os.fork() or os.execlp('sleep', 'sleep', '100')"
    done = sh(machine, f'python3.11 -c "{bomb}"', timeout=60)
    assert b"Resource temporarily unavailable" in done.stderr


@pytest.mark.root
@pytest.mark.skipif(not os.access("/sys/fs/cgroup", os.W_OK), reason="control groups are closed")
def test_memory_is_limited_as_a_whole(start: StartTarget, events: list[Event]) -> None:
    machine = start(limits=Limits(memory=100 * _MEBI, disk=16 * _MEBI))
    hog = "head -c 300M /dev/zero | tail -c 250M | wc -c"
    done = sh(machine, f"set -o pipefail; {hog}")
    assert done.returncode != 0
    assert machine.facts["memory"] == str(100 * _MEBI)
    assert events == []


@pytest.mark.skipif(os.getuid() == 0, reason="root's limits hold")
def test_limits_that_do_not_hold_are_said_loudly(start: StartTarget, events: list[Event]) -> None:
    machine = start(limits=Limits(memory=500 * _MEBI, cpus=1, disk=16 * _MEBI))
    assert machine.facts["memory"].startswith("unlimited")
    assert [event.kind for event in events] == ["warning"]


def test_a_process_has_no_more_memory_than_all_may_have(start: StartTarget) -> None:
    machine = start(limits=Limits(memory=200 * _MEBI, disk=16 * _MEBI))
    assert sh(machine, "python3.11 -c 'x = bytearray(400 << 20)'").returncode != 0


def test_the_persons_own_limits_are_not_inherited(start: StartTarget) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (100_000, hard))
    try:
        assert out(start(), "ulimit -t; ulimit -c; ulimit -s").split() == ["unlimited", "0", "8192"]
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def test_writing_to_disk_is_a_choice_that_is_recorded(
    start: StartTarget, events: list[Event], backend: UsernsBackend
) -> None:
    machine = start(scratch="disk", limits=Limits(disk=None))
    out(machine, "rm -r /usr/lib/python3.11 && mkdir /usr/lib/python3.11", user="root")
    assert machine.facts["scratch"] == "disk"
    assert machine.facts["disk"] == "unlimited"
    assert any("disk: unlimited" in event.text for event in events)
    machine.stop()
    scratch = backend.store.root / "scratch"
    assert list(scratch.iterdir()) == []


def test_processors_can_be_chosen(start: StartTarget) -> None:
    first = min(os.sched_getaffinity(0))
    assert out(start(extras={"processors": str(first)}), "nproc") == "1"
