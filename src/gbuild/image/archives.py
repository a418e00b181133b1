"""From signed archives to the store: InRelease files that may be believed, and their indexes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import DescriptorInvalid, GbuildError, Unavailable, Untrusted
from gbuild.host import mirrors
from gbuild.host.fetch import Wanted, fetch_all, fetch_bytes
from gbuild.host.files import read_small
from gbuild.host.store import Store
from gbuild.host.web import Settings
from gbuild.image.packages import decompress
from gbuild.image.release import IndexFile, Release, parse_release
from gbuild.image.suites import Pocket, suite
from gbuild.image.trust import Keys, dearmored, distribution_keys, verify_inrelease
from gbuild.model.descriptor import Descriptor, Repository, machine_architecture
from gbuild.model.event import Event, Sink
from gbuild.model.lock import Archive

_LARGEST_INRELEASE = 16 << 20
_SNAPSHOT_DELAYS = (0, 6 * 3600, 24 * 3600)
"""Seconds after an InRelease's Date at which a snapshot may first hold that state."""


class OutOfStep(Unavailable):
    """The indexes of an archive do not fit its InRelease: a mirror in the middle of a sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A pocket, the keys that may vouch for it and the addresses to ask, best first."""

    pocket: Pocket
    keys: Keys
    bases: tuple[str, ...]
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One believed state of a pocket; its InRelease and indexes are blobs of the store."""

    origin: Origin
    archive: Archive
    release: Release
    indexes: tuple[IndexFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old an archive may be: ``floors`` are the dates of the previous lock."""

    now: int
    floors: Mapping[tuple[str, str], int]
    allow_older: bool = False


def origins(
    descriptor: Descriptor, name: str, label: str, *, folder: Path, environment: Mapping[str, str]
) -> tuple[Origin, ...]:
    """Return where the packages of one environment come from: the distribution, repositories.

    Args:
        descriptor: says the distribution and the repositories.
        name: the suite.
        label: the architecture as the descriptor spells it.
        folder: where the descriptor lies (for the key files).
        environment: the person's environment (mirrors, keyrings).

    Raises:
        UsageFailure: unknown suite, or a repository without a key.
    """
    own = distribution_origins(
        descriptor.distro, name, machine_architecture(label), environment=environment
    )
    return own + tuple(repository_origin(one, folder) for one in descriptor.repositories)


def distribution_origins(
    distro: str, name: str, arch: str, *, environment: Mapping[str, str]
) -> tuple[Origin, ...]:
    """Return where a distribution's own packages of one suite and architecture come from.

    Raises:
        UsageFailure: unknown suite.
    """
    known = suite(distro, name, arch=arch)
    keys = distribution_keys(known.keyrings, environment, expired=known.archived)
    return tuple(
        Origin(
            pocket=pocket,
            keys=keys,
            bases=_bases(pocket.archive, environment, archived=known.archived),
            archived=known.archived,
        )
        for pocket in known.pockets
    )


def _bases(archive: str, environment: Mapping[str, str], *, archived: bool) -> tuple[str, ...]:
    """Archived suites may be kept apart: ``<archive>-archived`` in the configuration."""
    more = mirrors.bases(f"{archive}-archived", environment) if archived else ()
    return tuple(dict.fromkeys((*more, *mirrors.bases(archive, environment))))


def repository_name(repository: Repository) -> str:
    """Name a descriptor's own repository in locks: by its address, which a lock never holds."""
    digest = hashlib.sha256(repository.source.rstrip("/").encode()).hexdigest()
    named = repository.name and repository.name.lower().replace("_", "-")
    return f"repository-{named or digest[:12]}"


def repository_origin(repository: Repository, folder: Path) -> Origin:
    """Return a descriptor's own repository as an origin.

    Raises:
        DescriptorInvalid: it names no key, its key file cannot be read, or it is flat.
    """
    brief = f"the repository {repository.source} {repository.distribution}"
    if repository.key is None or repository.key_file is None:
        raise DescriptorInvalid(
            f"{brief} has no key",
            details=("nothing would tell its packages from a stranger's",),
            hint="add key: (its fingerprint) and key_file: (the armoured key, a file beside)",
        )
    path = folder / repository.key_file
    try:
        ring = dearmored(read_small(path), where=str(path))
    except OSError as error:
        raise DescriptorInvalid(f"{brief}: its key file cannot be read: {path}") from error
    return Origin(
        pocket=Pocket(
            archive=repository_name(repository),
            suite=repository.suite,
            origin="",
            label="",
            components=repository.components,
        ),
        keys=Keys(ring=ring, only=frozenset({repository.key.replace(" ", "").upper()})),
        bases=(repository.source.rstrip("/"),),
    )


def believe(data: bytes, origin: Origin) -> tuple[Archive, Release]:
    """Verify an InRelease's signature and that it is the pocket that was asked for.

    Raises:
        Untrusted: it is not signed by an accepted key, or it is another archive or suite.
    """
    pocket = origin.pocket
    what = f"{pocket.archive} {pocket.suite}"
    signed = verify_inrelease(data, origin.keys, what=what)
    release = parse_release(signed.text)
    said = {release.suite, release.codename}
    asked = {pocket.suite, pocket.suite.partition("/")[0]}
    if (pocket.origin, pocket.label) != (release.origin, release.label) and pocket.origin:
        raise Untrusted(
            f"{what}: its InRelease is of another archive: {release.origin} {release.label}"
        )
    if not said & asked:
        raise Untrusted(f"{what}: its InRelease is of another suite: {', '.join(sorted(said))}")
    archive = Archive(
        name=pocket.archive,
        suite=pocket.suite,
        sha256=hashlib.sha256(data).hexdigest(),
        date=release.date,
        signed_by=signed.fingerprints,
        components=pocket.components,
    )
    return archive, release


def judge_age(archive: Archive, release: Release, pocket: Pocket, fresh: Freshness) -> None:
    """Refuse an archive that stands still or goes back in time.

    Raises:
        Untrusted: it is older than the previous lock's, past its Valid-Until, or frozen.
    """
    what = f"{archive.name} {archive.suite}"
    hint = "pass --allow-older to accept it"
    floor = fresh.floors.get((archive.name, archive.suite))
    if fresh.allow_older:
        return
    if floor is not None and archive.date < floor:
        raise Untrusted(
            f"{what} is older than in the previous lock: {_day(archive.date)} < {_day(floor)}",
            hint=hint,
        )
    if release.valid_until is not None and release.valid_until < fresh.now:
        raise Untrusted(f"{what} was valid until {_day(release.valid_until)}", hint=hint)
    if pocket.max_age is not None and archive.date < fresh.now - pocket.max_age:
        raise Untrusted(
            f"{what} is frozen: it was last published on {_day(archive.date)}",
            details=(
                f"an archive like this is published anew within {pocket.max_age // 86400} days",
            ),
            hint=hint,
        )


def obtain(
    origin: Origin,
    architectures: Sequence[str],
    *,
    store: Store,
    fresh: Freshness,
    settings: Settings,
    sink: Sink,
) -> State:
    """Bring the present state of a pocket into the store.

    Every address is asked; an archive whose indexes do not fit its InRelease (a mirror in the
    middle of a sync) is asked again later.

    Raises:
        Unavailable: no address gives a whole state; names every reason.
        Untrusted: what was given may not be believed.
    """
    what = f"{origin.pocket.archive} {origin.pocket.suite}"
    if not origin.bases:
        raise Unavailable(
            f"no mirror of {origin.pocket.archive} is known on this host",
            hint=f"set GBUILD_MIRROR_{_variable(origin.pocket.archive)}=https://..., or add it to "
            "[mirrors] of ~/.config/gbuild/config.toml",
        )
    reasons: list[GbuildError] = []
    for number in range(settings.rounds):
        reasons.clear()
        for base in origin.bases:
            try:
                return _state(origin, base, architectures, store, fresh, settings, sink)
            except (Unavailable, Untrusted) as error:
                reasons.append(error)
        if not any(isinstance(one, OutOfStep) for one in reasons):
            break
        if number + 1 < settings.rounds:
            pause = settings.delay * 4 ** (number + 1)
            sink(Event("info", f"{what}: out of step; trying again in {pause:.0f} s"))
            _pause(pause)
    raise _verdict(what, reasons)


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def _verdict(what: str, reasons: Sequence[GbuildError]) -> GbuildError:
    """Sum up: distrust weighs more than absence, one reason stands for itself."""
    lines = tuple(dict.fromkeys(line for one in reasons for line in one.lines))
    if len({one.brief for one in reasons}) == 1:
        return reasons[0]
    kind = Untrusted if isinstance(reasons[0], Untrusted) else Unavailable
    return kind(f"{what}: no mirror gives a state to rely on", details=lines, hint=reasons[0].hint)


def _state(
    origin: Origin,
    base: str,
    architectures: Sequence[str],
    store: Store,
    fresh: Freshness,
    settings: Settings,
    sink: Sink,
) -> State:
    pocket = origin.pocket
    dists = f"{base}/dists/{pocket.suite}"
    _, data = fetch_bytes(
        (f"{dists}/InRelease",),
        name=f"{pocket.archive} {pocket.suite} InRelease",
        limit=_LARGEST_INRELEASE,
        sink=sink,
        settings=settings,
    )
    archive, release = believe(data, origin)
    judge_age(archive, release, pocket, fresh)
    indexes = index_files(archive, release, architectures)
    try:
        fetch_indexes(archive, indexes, (base,), store=store, settings=settings, sink=sink)
    except Unavailable as error:
        raise OutOfStep(
            f"{archive.name} {archive.suite}: its indexes do not fit its InRelease",
            details=(error.brief, *error.details),
        ) from error
    store.add(data)
    return State(origin=origin, archive=archive, release=release, indexes=indexes)


def index_files(
    archive: Archive, release: Release, architectures: Iterable[str]
) -> tuple[IndexFile, ...]:
    """Return the package indexes of an archive's components for some architectures.

    Raises:
        Unavailable: the archive has nothing for the first of them.
    """
    wanted = tuple(architectures)
    found = [
        index
        for arch in wanted
        for component in archive.components
        for index in release.packages(component, arch)
    ]
    if not release.packages(archive.components[0], wanted[0]):
        raise Unavailable(
            f"{archive.name} {archive.suite} has no {archive.components[0]} for {wanted[0]}",
            details=(f"architectures: {' '.join(release.architectures)}",),
        )
    return tuple(dict.fromkeys(found))


def fetch_indexes(
    archive: Archive,
    indexes: Sequence[IndexFile],
    bases: Sequence[str],
    *,
    store: Store,
    settings: Settings,
    sink: Sink,
    offline: bool = False,
) -> None:
    """Bring indexes into the store, by hash first: that name holds for a while.

    Raises:
        Unavailable: some can be had nowhere.
    """
    roots = [f"{base}/dists/{archive.suite}" for base in bases]
    wanted = [
        Wanted(
            name=f"{archive.name} {archive.suite} {index.path}",
            sha256=index.sha256,
            size=index.size,
            urls=tuple(f"{root}/{p}" for root in roots for p in (index.by_hash, index.path)),
        )
        for index in indexes
    ]
    fetch_all(store, wanted, sink=sink, settings=settings, offline=offline)


def snapshots(archive: Archive, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where the distribution's snapshot service may hold this state of an archive."""
    found = (
        base
        for delay in _SNAPSHOT_DELAYS
        for base in mirrors.snapshot_bases(archive.name, archive.date + delay, environment)
    )
    return tuple(dict.fromkeys(found))


def index_text(index: IndexFile, store: Store) -> bytes:
    """Return the text of an index from the store, hashed again and decompressed."""
    return decompress(store.verified(index.sha256).read_bytes(), index.path)


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
