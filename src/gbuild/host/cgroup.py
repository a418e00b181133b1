"""Control groups: limits on memory, processors and processes of everything below one process.

Version 1 hierarchies (each controller its own tree, see the kernel's cgroup-v1 documentation) and
version 2 (one tree, cgroup-v2). Groups are made below the one that this process is in; only
groups that were made here are ever removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "gbuild-"
_PERIOD = 100_000
_MEMBERS = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a group may use; None: not limited here. Memory is in bytes."""

    memory: int | None = None
    cpus: int | None = None
    processes: int | None = None

    @property
    def wanted(self) -> dict[str, int]:
        """Controller to value, for the limits that are asked for."""
        values = {"memory": self.memory, "cpu": self.cpus, "pids": self.processes}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory in which this process may make groups for some controllers."""

    folder: Path
    controllers: frozenset[str]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Groups of one name that were made; ``held`` says which limits they keep."""

    folders: tuple[Path, ...]
    held: frozenset[str]

    def add(self, pid: int) -> None:
        """Put a process, and all that it will start, into the groups."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(f"{pid}\n")

    def hand_over(self, uid: int, gid: int) -> None:
        """Let a user make groups below these, without the right to change their limits."""
        for folder in self.folders:
            for place in (folder, *(folder / name for name in _MEMBERS)):
                if place.exists():
                    os.chown(place, uid, gid)

    def starved(self) -> bool:
        """Say whether the kernel ended a process here because the memory was used up."""
        counters = ("memory.events", "memory.oom_control")  # version 2, version 1
        return any(
            _count(folder / name, "oom_kill") for folder in self.folders for name in counters
        )

    def remove(self) -> None:
        """Remove the groups; their last process may still be on its way out."""
        for folder in self.folders:
            _remove(folder)


def _count(file: Path, name: str) -> int:
    """Return the number beside a name in a file of such lines, 0 where there is none."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return next((int(words[1]) for words in lines if words[:1] == [name]), 0)


def places(
    *, membership: Path = Path("/proc/self/cgroup"), mounts: Path = Path("/proc/self/mountinfo")
) -> tuple[Place, ...]:
    """Return where groups can be made, one place per hierarchy with a controller that we use."""
    mounted = _mounted(mounts.read_text())
    found = []
    for line in membership.read_text().splitlines():
        _, names, path = line.split(":", 2)
        place = _version_2(mounted, path) if names == "" else _version_1(mounted, names, path)
        if place is not None and os.access(place.folder, os.W_OK):
            found.append(place)
    return tuple(found)


def make(name: str, caps: Caps, where: tuple[Place, ...]) -> Group:
    """Make a group in every place that can keep a wanted limit.

    A limit that no place can keep is simply not in the result's ``held``.
    """
    folders: list[Path] = []
    held: set[str] = set()
    for place in where:
        here = {k: v for k, v in caps.wanted.items() if k in place.controllers and k not in held}
        folder = place.folder / f"{PREFIX}{name}"
        if not here:
            continue
        try:
            folder.mkdir(exist_ok=True)
            folders.append(folder)
            held |= {c for c, v in here.items() if _limit(folder, place.version, c, v)}
        except OSError:
            continue  # counted as not held; the caller says so
    return Group(folders=tuple(folders), held=frozenset(held))


def remove_dead(folders: Iterable[str]) -> tuple[str, ...]:
    """Remove groups of a target that is known to be dead, wherever they are; return their paths."""
    places = [Path(folder) for folder in folders]
    found = tuple(p for p in places if p.name.startswith(PREFIX) and p.is_dir())
    for place in found:
        _remove(place)
    return tuple(map(str, found))


def hierarchies(
    *, membership: Path = Path("/proc/self/cgroup"), mounts: Path = Path("/proc/self/mountinfo")
) -> tuple[Path, ...]:
    """Return this process's group in every hierarchy, whatever it controls, if it is writable."""
    mounted = _mounted(mounts.read_text())
    found = []
    for line in membership.read_text().splitlines():
        _, names, path = line.split(":", 2)
        mount = mounted.get(names.split(",")[0])
        if mount is not None and os.access(folder := _inside(mount, path), os.W_OK):
            found.append(folder)
    return tuple(found)


def leftovers(where: tuple[Place, ...]) -> tuple[Path, ...]:
    """Return groups of ours without a process: their maker was killed."""
    groups = (folder for place in where for folder in place.folder.glob(f"{PREFIX}*"))
    return tuple(g for g in groups if g.is_dir() and not _busy(g))


def remove_leftovers(where: tuple[Place, ...]) -> tuple[str, ...]:
    """Remove what :func:`leftovers` finds; return the paths."""
    found = leftovers(where)
    for folder in found:
        _remove(folder)
    return tuple(str(folder) for folder in found)


def _busy(folder: Path) -> bool:
    """Say whether a group has processes, or its maker, named in ``~pid~``, still lives."""
    parts = folder.name.split("~")
    if len(parts) > 1 and Path("/proc", parts[1]).exists():
        return True
    try:
        members = folder.rglob("cgroup.procs")
        return any(file.read_text().strip() for file in members)
    except OSError:
        return True


def _limit(folder: Path, version: int, controller: str, value: int) -> bool:
    files = _settings(version, controller, value)
    for name, text in files.items():
        file = folder / name
        optional = name.endswith(_OPTIONAL)
        if optional and not file.exists():
            continue
        try:
            file.write_text(text)
        except OSError:
            if not optional:
                return False
    return True


_OPTIONAL = ("memsw.limit_in_bytes", "swap.max", "oom.group")


def _settings(version: int, controller: str, value: int) -> Mapping[str, str]:
    if controller == "pids":
        return {"pids.max": f"{value}\n"}
    if controller == "cpu" and version == 1:
        return {"cpu.cfs_period_us": f"{_PERIOD}\n", "cpu.cfs_quota_us": f"{value * _PERIOD}\n"}
    if controller == "cpu":
        return {"cpu.max": f"{value * _PERIOD} {_PERIOD}\n"}
    if version == 1:
        limit = f"{value}\n"
        return {"memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit}
    return {"memory.max": f"{value}\n", "memory.swap.max": "0\n", "memory.oom.group": "1\n"}


def _remove(folder: Path) -> None:
    """Remove a group and what was made below it."""
    deadline = time.monotonic() + 2
    while True:
        try:
            for place, _, _ in os.walk(folder, topdown=False):
                Path(place).rmdir()
        except OSError:
            if time.monotonic() >= deadline:
                return  # still busy: prune takes it later
            time.sleep(0.005)
        else:
            return


def _mounted(mountinfo: str) -> dict[str, tuple[Path, str]]:
    """Return mount point and root per version 1 controller, and under ``""`` version 2's."""
    result: dict[str, tuple[Path, str]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind == "cgroup2":
            result.setdefault("", (Path(point), root))
        elif kind == "cgroup":
            for option in options.split(","):
                result.setdefault(option, (Path(point), root))
    return result


def _inside(mount: tuple[Path, str], path: str) -> Path:
    """Translate a path of /proc/self/cgroup to one below the mount point."""
    point, root = mount
    below = path.removeprefix(root) if root != "/" else path
    return point / below.strip("/")


def _version_1(mounted: Mapping[str, tuple[Path, str]], names: str, path: str) -> Place | None:
    controllers = frozenset(names.split(",")) & {"memory", "cpu", "pids"}
    first = next((c for c in controllers if c in mounted), None)
    if first is None:
        return None
    return Place(folder=_inside(mounted[first], path), controllers=controllers, version=1)


def _version_2(mounted: Mapping[str, tuple[Path, str]], path: str) -> Place | None:
    """Take the nearest group from ours upwards whose children already have controllers.

    A group with processes of its own cannot give controllers to children, so for root this is
    usually the top, and for a person a delegated scope's parent, if it may write there.
    """
    if "" not in mounted:
        return None
    top = mounted[""][0]
    folder = _inside(mounted[""], path)
    for place in (folder, *folder.parents):
        controllers = _given(place) & {"memory", "cpu", "pids"}
        if controllers and os.access(place, os.W_OK):
            return Place(folder=place, controllers=controllers, version=2)
        if place == top:
            break
    return None


def _given(folder: Path) -> frozenset[str]:
    try:
        return frozenset((folder / "cgroup.subtree_control").read_text().split())
    except OSError:
        return frozenset()
