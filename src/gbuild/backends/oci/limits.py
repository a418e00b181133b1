"""Which limits the engine holds for a target, and how they are said."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gbuild.target.backend import Limits
from gbuild.target.limits import scratch_size

_NO_CORE = 1  # 0 would still feed the host's core handler; see core(5)
_UNLIMITED = resource.RLIM_INFINITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The limits as they are really kept.

    ``flags`` are of ``run``; ``facts`` go into the statement; ``gaps`` says in words what is not
    limited though asked for; ``scratch`` is the size (bytes) of each tmpfs that is written to.
    """

    flags: tuple[str, ...]
    facts: Mapping[str, str]
    gaps: tuple[str, ...]
    scratch: int


def hold(limits: Limits, controllers: frozenset[str], *, on_tmpfs: bool) -> Held:
    """Choose flags for the controllers (cpu, memory, pids) that the engine may use."""
    size = scratch_size(limits)
    facts: dict[str, str] = {}
    gaps: list[str] = []
    flags: list[str] = []
    for controller, name, value, instead in (
        ("memory", "memory", limits.memory, "each process at most {} bytes"),
        ("cpu", "cpus", limits.cpus, "not limited"),
        ("pids", "processes", limits.processes, "each user at most {}"),
    ):
        facts[name] = "unlimited" if value is None else str(value)
        if value is not None and controller in controllers:
            flags += _group_flags(controller, value, size if on_tmpfs else 0)
        elif value is not None:
            facts[name] = f"unlimited ({instead.format(value)})"
            gaps.append(f"{name}: {facts[name]}")
    if limits.processes is None and "pids" in controllers:
        flags.append("--pids-limit=-1")
    facts["disk"] = str(size) if on_tmpfs else "unlimited"
    facts["inodes"] = "unlimited"
    facts["open_files"] = str(_open_files(limits))
    if not on_tmpfs:
        gaps.append("disk: unlimited")
    flags += _resources(limits, controllers)
    return Held(flags=tuple(flags), facts=facts, gaps=tuple(gaps), scratch=size)


def _group_flags(controller: str, value: int, scratch: int) -> tuple[str, ...]:
    if controller == "memory":
        total = value + scratch  # what is written to a tmpfs is charged to its writer
        return (f"--memory={total}b", f"--memory-swap={total}b")
    return (f"--cpus={value}",) if controller == "cpu" else (f"--pids-limit={value}",)


def _open_files(limits: Limits) -> int:
    """Return the wanted number, or what this process may give at most."""
    ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wished = ceiling if limits.open_files is None else limits.open_files
    return wished if ceiling == _UNLIMITED else min(wished, ceiling)


def _resources(limits: Limits, controllers: frozenset[str]) -> Iterator[str]:
    """Resource limits for each process, where the whole cannot be limited."""
    files = _open_files(limits)
    yield f"--ulimit=nofile={files}:{files}"
    yield f"--ulimit=core={_NO_CORE}:{_NO_CORE}"
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]  # or podman asks for more than it may
    if limits.processes is not None and "pids" not in controllers:
        processes = limits.processes
    yield f"--ulimit=nproc={processes}:{processes}"
    if limits.memory is not None and "memory" not in controllers:
        yield f"--ulimit=data={limits.memory}:{limits.memory}"
