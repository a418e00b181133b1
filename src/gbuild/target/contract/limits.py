"""Limits hold, or are said not to."""

from __future__ import annotations

import re
import time
from contextlib import suppress

from gbuild.errors import GbuildError, TimedOut
from gbuild.model.event import Event
from gbuild.target.backend import Limits, Machine
from gbuild.target.contract.base import Contract, Start

_MEBI = 1 << 20
_OPEN_FILES = 300
_LIMITS = Limits(
    memory=384 * _MEBI,
    cpus=1,
    disk=128 * _MEBI,
    processes=150,
    inodes=20_000,
    open_files=_OPEN_FILES,
)
_HOG = "set -o pipefail; head -c 900M /dev/zero | tail > /dev/null && echo had it"
_FILL = "head -c 300M /dev/zero > big && echo had it"
_FORKS = (
    "trap 'kill -9 0' EXIT;"
    " n=0; while [ $n -lt 400 ]; do sleep 60 & n=$((n+1)); echo $n > forked; done"
)
"""A plain shell gives up at the first process that it cannot have, and ends all of them."""

_SPIN = (
    "echo $EPOCHREALTIME; for n in 1 2 3 4; do timeout 0.5 sh -c 'while :; do :; done' & done;"
    " wait; echo $EPOCHREALTIME; times"
)
_SPUN = re.compile(r"(\d+)m([\d.]+)s")


class LimitContract(Contract):
    """Processors, disk, processes, memory. One target: what breaks it most comes last."""

    def test_limits_hold_or_are_said_not_to(self, start: Start, events: list[Event]) -> None:
        machine = start(name="limited", limits=_LIMITS)
        assert int(self.out(machine, "ulimit -Hn")) <= _OPEN_FILES
        for what, holds in (
            ("cpus", self._processors_hold),
            ("disk", self._disk_holds),
            ("processes", self._processes_hold),
            ("memory", self._memory_holds),
        ):
            if what in self.cannot:
                assert machine.facts[what].startswith("unlimited")
                told = [e.text for e in events if e.kind == "warning"]
                assert any(what in text for text in told), (what, told)
            else:
                assert not machine.facts[what].startswith("unlimited"), what
                assert holds(machine), what

    def test_no_limit_is_said_too(self, machine: Machine) -> None:
        assert machine.facts["cpus"].startswith("unlimited")

    def _processors_hold(self, machine: Machine) -> bool:
        """Let four programs want a processor: together they get one, for as long as it took.

        Where others leave no more than one to all of them it shows nothing.
        """
        began, ended, _, children = self.out(machine, _SPIN).splitlines()
        used = sum(60 * int(minutes) + float(part) for minutes, part in _SPUN.findall(children))
        return used < 1.3 * (float(ended) - float(began))

    def _disk_holds(self, machine: Machine) -> bool:
        return b"had it" not in self.sh(machine, f"{_FILL}; rm -f big").stdout

    def _processes_hold(self, machine: Machine) -> bool:
        with suppress(TimedOut), self.target(machine) as target:  # where sh is bash, it tries again
            target.run(["sh", "-c", _FORKS], user="builder", timeout=30 * self.patience)
        return int(self._after_the_forks(machine)) < 400

    def _after_the_forks(self, machine: Machine) -> str:
        """Wait until the target has room for a process again."""
        until = time.monotonic() + 60 * self.patience
        while True:
            try:
                return self.out(machine, "pkill -9 sleep; cat /home/builder/forked", user="root")
            except GbuildError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _memory_holds(self, machine: Machine) -> bool:
        try:
            return b"had it" not in self.sh(machine, _HOG).stdout
        except GbuildError:
            return True  # it took the whole target down
