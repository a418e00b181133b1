"""Which users of this host stand for root and the others inside a user namespace."""

from __future__ import annotations

import os
import pwd
import subprocess  # noqa: TID251 - two helpers side by side
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import HostFailure, UsageFailure
from gbuild.host.process import CLEAN_ENVIRONMENT, which

_Lines = tuple[tuple[str, int, int], ...]
"""Of /etc/subuid or /etc/subgid: name or number, first, how many."""

Range = tuple[int, int, int]
"""First number inside, first number on the host, how many."""

COUNT = 65536
_ROOT_BASE = 0x70000000
"""Above what useradd hands out and what systemd gives to containers; used by nobody we know."""
_LAST_BASE = 0x7FFE0000


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMap:
    """The user and group ranges of our user namespaces, and a name for files made with them."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]
    label: str

    def outside(self, uid: int) -> int:
        """Return the host's user number for one inside."""
        for inside, first, count in self.uids:
            if inside <= uid < inside + count:
                return first + uid - inside
        raise UsageFailure(f"user {uid} is not in the map {self.label}")

    def apply(self, pid: int) -> None:
        """Write the maps of a process that has just made a user namespace.

        Raises:
            HostFailure: the kernel or newuidmap refused.
        """
        if os.geteuid() == 0:
            _write_map(pid, "uid", self.uids)
            _write_map(pid, "gid", self.gids)
        else:
            _ask_helpers(pid, self)


def current(environment: Mapping[str, str]) -> IdMap:
    """Return the map for whoever runs this.

    Root: 0 and up are ``GBUILD_SUBUID_BASE``, or root's own line of /etc/subuid, or a range that
    no line of it has. A person: 0 is the person, 1 and up the person's lines of /etc/subuid and
    /etc/subgid.

    Raises:
        HostFailure: no usable range; the hint gives one.
        UsageFailure: ``GBUILD_SUBUID_BASE`` is not a number or belongs to someone.
    """
    uid = os.geteuid()
    users, groups = read_ranges(Path("/etc/subuid")), read_ranges(Path("/etc/subgid"))
    if uid == 0:
        return _for_root(environment.get("GBUILD_SUBUID_BASE"), users, groups)
    names = _names(uid)
    own = {"uid": _own(users, names), "gid": _own(groups, names)}
    if own["uid"] is None or own["gid"] is None:
        lacking = [kind for kind, found in own.items() if found is None]
        raise _no_range(lacking, (*users, *groups), names)
    return IdMap(
        uids=((0, uid, 1), own["uid"]),
        gids=((0, os.getegid(), 1), own["gid"]),
        label=_label(uid, own["uid"], own["gid"]),
    )


def read_ranges(path: Path) -> _Lines:
    """Read /etc/subuid or /etc/subgid: (name or number, first, count); see subuid(5)."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    rows = (line.split(":") for line in lines)
    return tuple((r[0], int(r[1]), int(r[2])) for r in rows if _is_range(r))


def _is_range(fields: list[str]) -> bool:
    return len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal()


def _for_root(
    chosen: str | None,
    users: _Lines,
    groups: _Lines,
) -> IdMap:
    if chosen is not None:
        if not chosen.isdecimal() or _taken(int(chosen), (*users, *groups)):
            raise UsageFailure(
                f"GBUILD_SUBUID_BASE={chosen} is not a number or overlaps /etc/subuid",
                hint=f"choose another, such as {_ROOT_BASE}, or unset it",
            )
        return _plain(int(chosen))
    own = {base for name, base, count in users if name in {"root", "0"} and count >= COUNT}
    both = own & {base for name, base, count in groups if name in {"root", "0"} and count >= COUNT}
    if both:
        return _plain(min(both))
    return _plain(_free((*users, *groups)))


def _plain(base: int) -> IdMap:
    only = ((0, base, COUNT),)
    return IdMap(uids=only, gids=only, label=f"{base}+{COUNT}")


def _taken(base: int, ranges: Iterable[tuple[str, int, int]]) -> bool:
    """Say whether someone else than root has part of the range, or it reaches real users."""
    others = (r for r in ranges if r[0] not in {"root", "0"})
    return base < COUNT or any(f < base + COUNT and base < f + n for _, f, n in others)


def _free(ranges: _Lines) -> int:
    for base in range(_ROOT_BASE, _LAST_BASE, COUNT):
        if not _taken(base, ranges):
            return base
    raise HostFailure("no free range of 65536 users is left", hint="set GBUILD_SUBUID_BASE")


def _names(uid: int) -> frozenset[str]:
    try:
        return frozenset((str(uid), pwd.getpwuid(uid).pw_name))
    except KeyError:
        return frozenset((str(uid),))


def _own(ranges: _Lines, names: frozenset[str]) -> Range | None:
    """Return the person's first range that is large enough for a distribution's users."""
    for name, base, count in ranges:
        if name in names and count >= COUNT - 1:
            return (1, base, COUNT - 1)
    return None


def _no_range(lacking: list[str], taken: _Lines, names: frozenset[str]) -> HostFailure:
    """Say what a person lacks; one command, free of both files' ranges, mends all of it."""
    person = min(names, key=str.isdecimal)
    first = max((base + count for _, base, count in taken), default=100000)
    added = " ".join(f"--add-sub{kind}s {first}-{first + COUNT - 1}" for kind in lacking)
    return HostFailure(
        f"/etc/sub{lacking[0]} gives {person} no range of {COUNT} {lacking[0]}s",
        details=("without one, files of several owners cannot be made",),
        hint=f"sudo usermod {added} {person}",
    )


def _label(uid: int, users: Range, groups: Range) -> str:
    same = users == groups
    return f"{uid}+{users[1]}" if same else f"{uid}+{users[1]}+{groups[1]}"


def _lines(ranges: tuple[Range, ...]) -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)


def _write_map(pid: int, kind: str, ranges: tuple[Range, ...]) -> None:
    path = Path(f"/proc/{pid}/{kind}_map")
    try:
        path.write_text(_lines(ranges), encoding="ascii")
    except PermissionError as error:
        raise HostFailure(
            f"the kernel refused the {kind} map {_lines(ranges).strip()}",
            details=(str(error),),
            hint="run gdoctor: root without CAP_SETUID, or inside another user namespace",
        ) from error


def _ask_helpers(pid: int, idmap: IdMap) -> None:
    """Run newuidmap and newgidmap side by side: each costs milliseconds of every start."""
    running = [
        subprocess.Popen(
            (which(f"new{kind}map", package="uidmap"), str(pid), *_lines(ranges).split()),
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for kind, ranges in (("uid", idmap.uids), ("gid", idmap.gids))
    ]
    failures = [(p.communicate()[1], p.returncode) for p in running]
    for complaint, status in failures:
        if status != 0:
            raise HostFailure(
                "newuidmap or newgidmap refused the map of users",
                details=(complaint.decode(errors="replace").strip(),),
                hint="run gdoctor",
            )
