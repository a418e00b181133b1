"""What a check varies only when it is asked to (``--also``), each in a build of its own.

They need something that one machine and one lock do not have, take long, or break builds that
are reproducible. They are shown as "not run" otherwise, so that nobody takes them for varied.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.check.builds import Order, Place
from gbuild.check.variations import LATER, Conditions, Grounds, control
from gbuild.engine import preflight
from gbuild.engine.build import elsewhere
from gbuild.engine.locks import FoundLock, read_lock
from gbuild.errors import UsageFailure
from gbuild.host import disorder
from gbuild.model.check import CheckBuild, CheckedArtifact, Reproducible, TriedAxis, changed
from gbuild.model.event import Event
from gbuild.target.backend import Backend

_LONGEST = 7 * 86400
_CLOCK = (
    ("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1"),  # ld.so(8) knows $LIB
    ("FAKETIME", f"+{LATER}"),
    ("NO_FAKE_STAT", "1"),  # or make takes every file for one of the past
    ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),  # or programs that wait never end
)
FAKETIME_WARNING = (
    "faketime: programs that compare the time of day with the times of files (make, tar) may do "
    "other work or fail, as Baserock and Debian found; what differs may be its doing"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Something that is varied on request; ``ask`` is what stands after ``--also``.

    ``missing`` returns why it cannot be had here, or nothing.
    """

    name: str
    what: str
    ask: str
    needs: str
    missing: Callable[[Grounds], str] = lambda _: ""


def _no_faketime(grounds: Grounds) -> str:
    if {"faketime", "libfaketime"} & {*grounds.descriptor.packages}:
        return ""
    return "the target has no faketime: add it to packages: and lock again"


def _same_order(grounds: Grounds) -> str:
    if "order" not in grounds.varies:
        return f"the backend {grounds.backend} cannot"
    return disorder.missing()


def _other_machine(_grounds: Grounds) -> str:
    return f"this machine is {platform.machine()}: run gbuild on another, then gdiff"


AXES: tuple[Axis, ...] = (
    Axis(
        name="time",
        what="more time between two builds; there are 2 seconds at least",
        ask="time=SECONDS",
        needs="that time",
    ),
    Axis(
        name="faketime",
        what="the time of day, as dynamically linked programs see it",
        ask="faketime",
        needs="faketime in the target",
        missing=_no_faketime,
    ),
    Axis(
        name="directory-order",
        what="home and build folder list their files in reverse order",
        ask="directory-order",
        needs="disorderfs and /dev/fuse; file-system varies the order, too",
        missing=_same_order,
    ),
    Axis(
        name="backend",
        what="another kind of machine",
        ask="backend=NAME",
        needs="another backend (gdoctor)",
    ),
    Axis(
        name="lock",
        what="packages of another day",
        ask="lock=FILE",
        needs="another lock (glock)",
    ),
    Axis(
        name="point-release",
        what="packages of another point release of the suite",
        ask="point-release=FILE",
        needs="a lock of that release (glock)",
    ),
    Axis(
        name="architecture",
        what="another architecture of the builder",
        ask="architecture",
        needs="a machine of it",
        missing=_other_machine,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An axis that is wanted, and its value."""

    axis: Axis
    value: str

    @property
    def words(self) -> str:
        """As it was asked for."""
        return f"{self.axis.name}={self.value}" if self.value else self.axis.name


def asked(words: Iterable[str]) -> tuple[Asked, ...]:
    """Read what stands after each ``--also``.

    Raises:
        UsageFailure: there is no such axis, or its value is missing or no number.
    """
    return tuple(_asked(word) for word in dict.fromkeys(words))


def _asked(word: str) -> Asked:
    name, _, value = word.partition("=")
    axis = next((axis for axis in AXES if axis.name == name), None)
    if axis is None:
        known = ", ".join(axis.ask for axis in AXES)
        raise UsageFailure(f"--also {word} is nothing that can be varied", hint=f"one of {known}")
    if ("=" in axis.ask) != bool(value):
        raise UsageFailure(f"--also {word} is not {axis.ask}")
    if name == "time" and not (value.isdecimal() and 0 < int(value) <= _LONGEST):
        raise UsageFailure(f"--also {word}: seconds are from 1 to {_LONGEST}")
    return Asked(axis=axis, value=value)


def refuse_missing(wanted: Sequence[Asked], grounds: Grounds) -> None:
    """Refuse what cannot be done here, before anything is built.

    Raises:
        UsageFailure: it cannot, with the reason.
    """
    for one in wanted:
        why = one.axis.missing(grounds)
        if not why and one.axis.name == "backend" and one.value == grounds.backend:
            why = "it is the backend of all other builds"
        if why:
            raise UsageFailure(f"--also {one.words} cannot be done: {why}", hint="gcheck --list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Makes the orders of axes; ``usual`` are the control's conditions, ``place`` its place.

    ``descriptor`` is the path of the descriptor's file, ``backends`` makes a backend by name.
    """

    usual: Conditions
    grounds: Grounds
    place: Place
    descriptor: Path
    backends: Callable[[str], Backend]

    def order(self, one: Asked) -> Order:
        """Return what to build for an axis; what it needs is brought here first.

        Raises:
            GbuildError: the backend or the lock cannot be used.
        """
        plain = Order(kind="axis", conditions=self.usual, varied=(one.words,))
        match one.axis.name:
            case "time":
                return replace(plain, apart=float(one.value))
            case "faketime":
                self.place.parts.sink(Event("warning", FAKETIME_WARNING))
                return replace(plain, conditions=_under_faketime(self.usual))
            case "directory-order":
                around = replace(self.usual.surroundings, reversed_order=True)
                return replace(plain, conditions=replace(self.usual, surroundings=around))
            case "backend":
                return self._on(plain, one.value)
            case _:
                return self._with_lock(plain, one)

    def _on(self, plain: Order, name: str) -> Order:
        parts = replace(self.place.parts, backend=self.backends(name))
        preflight.refuse(preflight.backend_problems(parts.backend, parts.store))
        varies = parts.backend.varies
        grounds = replace(self.grounds, backend=name, varies=varies)
        options = replace(self.usual.options, backend=name)
        ready = elsewhere(self.place.ready, parts, options)
        usual = replace(self.usual, options=options)
        return replace(
            plain,
            conditions=control(usual, grounds),
            place=Place(ready=ready, parts=parts),
        )

    def _with_lock(self, plain: Order, one: Asked) -> Order:
        parts, ready = self.place.parts, self.place.ready
        found = read_lock(
            self.grounds.descriptor,
            Path(one.value).absolute(),
            self.usual.options,
            folder=self.descriptor.absolute().parent,
            store=parts.store,
            sink=parts.sink,
            environment=parts.environment,
        )
        _refuse_the_same(one, ready.prepared.found, found)
        return replace(
            plain,
            place=Place(
                ready=elsewhere(ready, parts, self.usual.options, found=found), parts=parts
            ),
        )


def _under_faketime(usual: Conditions) -> Conditions:
    around = usual.surroundings
    both = (*around.environment, *_CLOCK)
    return replace(usual, surroundings=replace(around, environment=both))


def _refuse_the_same(one: Asked, ours: FoundLock, other: FoundLock) -> None:
    """Refuse a lock that would change nothing of what it is given for.

    Raises:
        UsageFailure: it is one.
    """
    if one.axis.name == "lock" and _packages(ours) == _packages(other):
        raise UsageFailure(f"--also {one.words}: it pins the same packages as {ours.path.name}")
    if one.axis.name == "point-release" and _releases(ours) & _releases(other):
        raise UsageFailure(f"--also {one.words}: it is of the same release as {ours.path.name}")


def _packages(found: FoundLock) -> frozenset[object]:
    return frozenset((e.label, e.packages) for e in found.lock.environments)


def _releases(found: FoundLock) -> frozenset[object]:
    """Name the state of each suite itself, without its updates and security updates."""
    return frozenset(
        (environment.label, archive.sha256)
        for environment in found.lock.environments
        for archive in environment.archives
        if archive.suite == environment.suite
    )


def results(
    wanted: Sequence[Asked],
    builds: Sequence[CheckBuild],
    artifacts: Sequence[CheckedArtifact],
    grounds: Grounds,
) -> tuple[TriedAxis, ...]:
    """Return every axis: what its build showed, or that it was not run, and why."""
    made = {build.varied[0]: build for build in builds if build.kind == "axis"}
    control_ = {a.path: a.sha256 for a in artifacts if a.sha256}
    unstable = {a.path for a in artifacts if a.verdict is Reproducible.UNSTABLE}
    found: list[TriedAxis] = []
    for axis in AXES:
        runs = [one for one in wanted if one.axis is axis]
        found += [_ran(one, made[one.words], control_, unstable) for one in runs]
        if not runs:
            found.append(_shown(axis, "", reason=axis.missing(grounds)))
    return tuple(found)


def _ran(
    one: Asked, build: CheckBuild, control_: Mapping[str, str], unstable: set[str]
) -> TriedAxis:
    differing = tuple(sorted(changed(control_, build) - unstable))
    shown = _shown(one.axis, one.value, reason=build.failure)
    if build.failure:
        return replace(shown, state="failed")
    return replace(shown, state="differs" if differing else "same", differing=differing)


def _shown(axis: Axis, value: str, *, reason: str) -> TriedAxis:
    return TriedAxis(
        name=axis.name,
        what=axis.what,
        ask=axis.ask,
        needs=axis.needs,
        value=value,
        reason=reason,
    )


def untried(grounds: Grounds) -> tuple[TriedAxis, ...]:
    """Return every axis as it is before anything is built."""
    return results((), (), (), grounds)
