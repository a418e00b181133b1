"""Descriptor to lock: which packages exactly, vouched for by which signed archive states."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host import web
from gbuild.host.store import Store
from gbuild.image.archives import Freshness, Origin, State, index_text, obtain, origins
from gbuild.image.base import base_packages
from gbuild.image.proof import Proof, remember
from gbuild.image.solve import Solver
from gbuild.image.suites import suite
from gbuild.image.tools import Tools
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.event import Event, Sink
from gbuild.model.lock import BOOT_ARCHITECTURES, Environment, Lock, Package

_KERNELS = {
    "debian": ("linux-image-cloud-amd64", "linux-image-amd64"),
    "ubuntu": ("linux-image-virtual", "linux-image-generic"),
}
"""Packages that depend on the newest kernel, the smallest first."""

_LOADER = "systemd-boot-efi"
"""Package of a boot loader for EFI; the older suites have it in systemd, and no such package."""

_BOOT = re.compile(rf"linux-(?:image|modules)-[0-9].*|busybox-static|{_LOADER}")


def request(descriptor: Descriptor, name: str, arch: str) -> tuple[str, ...]:
    """Return what is asked for an environment: base, packages, repositories' packages."""
    extra = (package for one in descriptor.repositories for package in one.packages)
    base = (*base_packages(descriptor.base), *suite(descriptor.distro, name, arch=arch).extra)
    wanted = {*base, *descriptor.packages, *extra}
    return tuple(sorted(wanted))


def environments(descriptor: Descriptor) -> tuple[tuple[str, str], ...]:
    """Return every (suite, machine architecture) once, in the descriptor's order."""
    pairs = ((name, machine_architecture(label)) for name, label in descriptor.environments)
    return tuple(dict.fromkeys(pairs))


def foreign_architectures(descriptor: Descriptor, arch: str) -> tuple[str, ...]:
    """Return the foreign architectures of one environment, sorted."""
    return tuple(sorted({machine_architecture(one) for one in descriptor.multiarch} - {arch}))


def misfits(lock: Lock, descriptor: Descriptor) -> tuple[str, ...]:
    """Say in what a lock does not fit a descriptor; empty when it does. Pure.

    The lock may hold more environments than the descriptor asks for.
    """
    found: list[str] = []
    for name, arch in environments(descriptor):
        label = f"{name}-{arch}"
        locked = lock.environment(label)
        if locked is None:
            found.append(f"{label} is not locked")
            continue
        if locked.asserted is not None:  # it says what was installed, not what was asked for
            found += _distro_misfit(locked, descriptor)
            continue
        wanted = {
            "distro": descriptor.distro,
            "base": descriptor.base,
            "foreign": foreign_architectures(descriptor, arch),
        }
        found += [
            f"{label}: {key} is {getattr(locked, key)!r}, the descriptor says {value!r}"
            for key, value in wanted.items()
            if getattr(locked, key) != value
        ]
        found += _request_misfits(label, set(locked.request), set(request(descriptor, name, arch)))
    return tuple(found)


def _distro_misfit(locked: Environment, descriptor: Descriptor) -> list[str]:
    if locked.distro == descriptor.distro:
        return []
    return [f"{locked.label}: distro is {locked.distro!r}, not {descriptor.distro!r}"]


def refuse_misfit(lock: Lock, descriptor: Descriptor, *, path: Path) -> None:
    """Refuse a lock that was made for something else than the descriptor.

    Raises:
        UsageFailure: says every difference; the hint relocks.
    """
    if found := misfits(lock, descriptor):
        raise UsageFailure(
            f"the lock {path} does not fit its descriptor",
            details=found,
            hint=f"glock {path.with_suffix('.yml')}",
        )


def _request_misfits(label: str, locked: set[str], wanted: set[str]) -> list[str]:
    found = []
    if missing := sorted(wanted - locked):
        found.append(f"{label}: not in the lock: {', '.join(missing)}")
    if extra := sorted(locked - wanted):
        found.append(f"{label}: no longer asked for: {', '.join(extra)}")
    return found


def lock_descriptor(
    descriptor: Descriptor,
    *,
    folder: Path,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink,
    previous: Lock | None = None,
    allow_older: bool = False,
    without: Collection[str] = (),
    boot: bool = False,
    now: float | None = None,
) -> tuple[Lock, Proof]:
    """Resolve every environment of a descriptor against the archives as they are now.

    Args:
        descriptor: what is asked for.
        folder: where the descriptor lies (for the key files of its repositories).
        store: receives InRelease files and indexes: the proof of the lock.
        environment: the person's environment (mirrors, keyrings, proxies).
        sink: is told the steps.
        previous: the lock to be replaced; its archive dates must not be undercut, and its image
            digests are kept for environments that come out the same.
        allow_older: accept archives that are older, frozen or past their Valid-Until.
        without: suites to leave out though the distribution has them (``bookworm-security``, or
            ``bookworm-security:i386`` for one architecture); the lock shows their absence.
        boot: also pin what virtual machines boot from; what had it in ``previous`` keeps having it.
        now: seconds since the epoch.

    Raises:
        UsageFailure: unknown suite or package, packages that cannot be had together.
        Untrusted: an archive that may not be believed.
        Unavailable: archives that cannot be had.
        MissingTool: gpgv is not installed.
    """
    moment = int(time.time() if now is None else now)
    solver = Solver(store, Tools(store, environment=environment, sink=sink, now=moment))
    made: list[Environment] = []
    inreleases: dict[str, bytes] = {}
    for name, arch in environments(descriptor):
        sink(Event("step", f"resolving {name}-{arch}", {"job": f"{name}-{arch}"}))
        every = origins(descriptor, name, arch, folder=folder, environment=environment)
        fresh = Freshness(now=moment, floors=_floors(previous), allow_older=allow_older)
        foreign = foreign_architectures(descriptor, arch)
        machine = _machine(previous, name, arch, wanted=boot)
        wanted = tuple(dict.fromkeys((arch, *foreign, *machine)))
        states = _states(
            _chosen(every, name, arch, without), wanted, store, fresh, environment, sink
        )
        made.append(_environment(descriptor, name, arch, states, solver))
        for one in machine:
            made[-1] = replace(made[-1], boot=_boot(states, one, descriptor.distro, solver))
        remember(made[-1], every, store)  # every package was just found in the signed indexes
        for state in states:
            digest = state.archive.sha256
            inreleases[digest] = store.verified(digest).read_bytes()
    return Lock(environments=tuple(made), images=_kept(previous, made)), Proof(inreleases)


def _environment(
    descriptor: Descriptor, name: str, arch: str, states: Sequence[State], solver: Solver
) -> Environment:
    foreign = foreign_architectures(descriptor, arch)
    wanted = request(descriptor, name, arch)
    return Environment(
        suite=name,
        arch=arch,
        distro=descriptor.distro,
        request=wanted,
        archives=tuple(sorted((s.archive for s in states), key=lambda a: (a.name, a.suite))),
        packages=solver.solve(states, wanted, arch=arch, foreign=foreign, label=f"{name}-{arch}"),
        base=descriptor.base,
        foreign=foreign,
    )


def _chosen(
    every: Sequence[Origin], name: str, arch: str, without: Collection[str]
) -> tuple[Origin, ...]:
    """Leave out pockets that the person does not want; never the suite itself."""
    if name in without or f"{name}:{arch}" in without:
        raise UsageFailure(f"{name} is what the packages come from: it cannot be left out")
    return tuple(
        one
        for one in every
        if not {one.pocket.suite, f"{one.pocket.suite}:{arch}"}.intersection(without)
    )


def _machine(previous: Lock | None, name: str, arch: str, *, wanted: bool) -> tuple[str, ...]:
    """Return the architecture that virtual machines of an environment boot, if it is to be pinned.

    Raises:
        UsageFailure: it is wanted, and none is known.
    """
    before = previous.environment(f"{name}-{arch}") if previous else None
    if not wanted and not (before and before.boot):
        return ()
    if arch not in BOOT_ARCHITECTURES:
        raise UsageFailure(f"virtual machines of {name}-{arch} are not known: no --boot for it")
    return (BOOT_ARCHITECTURES[arch],)


def _boot(states: Sequence[State], arch: str, distro: str, solver: Solver) -> tuple[Package, ...]:
    """Return the newest kernel, a static busybox and a loader, without what they depend on.

    Raises:
        UsageFailure: the archives have none.
    """
    texts = [index_text(index, solver.store) for state in states for index in state.indexes]
    kernel = next((k for k in _KERNELS[distro] if any(_lists(text, k) for text in texts)), None)
    if kernel is None:
        raise UsageFailure(f"the archives have no kernel: {', '.join(_KERNELS[distro])}")
    loader = (_LOADER,) if any(_lists(text, _LOADER) for text in texts) else ()
    chosen = solver.solve(states, (kernel, "busybox-static", *loader), arch=arch, label="boot")
    return tuple(one for one in chosen if _BOOT.fullmatch(one.name))


def _lists(text: bytes, name: str) -> bool:
    line = f"Package: {name}\n".encode()
    return text.startswith(line) or b"\n" + line in text


def _states(
    sources: Sequence[Origin],
    architectures: Sequence[str],
    store: Store,
    fresh: Freshness,
    environment: Mapping[str, str],
    sink: Sink,
) -> tuple[State, ...]:
    settings = web.settings(environment)
    return tuple(
        obtain(origin, architectures, store=store, fresh=fresh, settings=settings, sink=sink)
        for origin in sources
    )


def _floors(previous: Lock | None) -> dict[tuple[str, str], int]:
    """Return the newest date at which the previous lock saw each pocket."""
    floors: dict[tuple[str, str], int] = {}
    for archive in (a for e in (previous.environments if previous else ()) for a in e.archives):
        key = (archive.name, archive.suite)
        floors[key] = max(archive.date, floors.get(key, 0))
    return floors


def _kept(previous: Lock | None, made: Sequence[Environment]) -> dict[str, Mapping[str, str]]:
    """Keep what is known of images whose environment did not change."""
    if previous is None:
        return {}
    return {
        one.label: previous.images[one.label]
        for one in made
        if previous.environment(one.label) == one and one.label in previous.images
    }
