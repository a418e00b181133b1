"""Which limits hold on this host for this person, and how they are said."""

from __future__ import annotations

import itertools
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass

from gbuild.host import cgroup
from gbuild.host.memory import meminfo
from gbuild.target.backend import Limits

_STACK = 8 << 20
_NO_CORE = 1  # 0 would still feed the host's core handler; see core(5)
_UNLIMITED = resource.RLIM_INFINITY
_UNSHARED = ("AS", "CPU", "FSIZE", "RSS")

_turn = itertools.count(os.getpid())


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The limits of one target as they are really kept.

    ``facts`` is for the statement, ``gaps`` says in words what is not limited though asked for.
    """

    group: cgroup.Group
    resources: Mapping[int, tuple[int, int]]
    processors: tuple[int, ...]
    facts: Mapping[str, str]
    gaps: tuple[str, ...]


def scratch_size(limits: Limits) -> int:
    """Return the bytes that a target may write to a tmpfs: half of the host's memory by default."""
    if limits.disk is not None:
        return limits.disk
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def hold(name: str, limits: Limits, *, on_tmpfs: bool) -> Held:
    """Make the control groups that this host allows and fall back to per-process limits."""
    memory = limits.memory
    if memory is not None and on_tmpfs:
        memory += scratch_size(limits)  # what is written to a tmpfs is charged to its writer
    caps = cgroup.Caps(memory=memory, cpus=limits.cpus, processes=limits.processes)
    group = cgroup.make(name, caps, cgroup.places())
    missing = frozenset(caps.wanted) - group.held
    facts, gaps = _say(limits, missing)
    return Held(
        group=group,
        resources=_resources(limits, missing),
        processors=_processors(limits.cpus) if "cpu" in missing else (),
        facts=facts,
        gaps=gaps,
    )


def _say(limits: Limits, missing: frozenset[str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    values = {"memory": limits.memory, "cpu": limits.cpus, "pids": limits.processes}
    instead = {
        "memory": "unlimited (each process at most {} bytes)",
        "cpu": "unlimited (started on {} processors)",
        "pids": "unlimited (each user at most {})",
    }
    facts = {}
    gaps = []
    for controller, name in (("memory", "memory"), ("cpu", "cpus"), ("pids", "processes")):
        value = values[controller]
        text = "unlimited" if value is None else str(value)
        if controller in missing:
            text = instead[controller].format(value)
            gaps.append(f"{name}: {text}")
        facts[name] = text
    ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wished = ceiling if limits.open_files is None else limits.open_files
    most = wished if ceiling == _UNLIMITED else min(wished, ceiling)
    facts["open_files"] = "unlimited" if most == _UNLIMITED else str(most)
    return facts, tuple(gaps)


def _resources(limits: Limits, missing: frozenset[str]) -> dict[int, tuple[int, int]]:
    """Resource limits are set in full, so that none of the person's own is inherited."""
    every = {getattr(resource, f"RLIMIT_{name}"): _UNLIMITED for name in _UNSHARED}
    result = {kind: (value, value) for kind, value in every.items()}
    result[resource.RLIMIT_CORE] = (_NO_CORE, _NO_CORE)
    result[resource.RLIMIT_STACK] = (_STACK, _UNLIMITED)
    if limits.open_files is not None:
        result[resource.RLIMIT_NOFILE] = (limits.open_files, limits.open_files)
    if limits.processes is not None and "pids" in missing:
        result[resource.RLIMIT_NPROC] = (limits.processes, limits.processes)
    if limits.memory is not None and "memory" in missing:
        result[resource.RLIMIT_DATA] = (limits.memory, limits.memory)
    return result


def _processors(wanted: int | None) -> tuple[int, ...]:
    """Choose processors in turn, so that targets side by side do not share one needlessly."""
    here = sorted(os.sched_getaffinity(0))
    if wanted is None or wanted >= len(here):
        return ()
    first = next(_turn) * wanted
    return tuple(sorted(here[(first + n) % len(here)] for n in range(wanted)))


def free_memory() -> int:
    """Return the bytes of memory that are available now (MemAvailable of /proc/meminfo)."""
    return meminfo().get("MemAvailable", 0)
