"""Old packages found again by their sha256: store, mirrors, snapshot services.

Where a package may lie is guessed from what archives say now, or said at a given time; what comes
is checked by sha256, so nobody needs to be trusted for the guess. A package that the present
index lists with these very bytes lies where it says. One whose name it lists with another version
lies, if the archive still has it, in the same folder of the pool. What both cannot find, the
machine interface of a snapshot service may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from gbuild.errors import Unavailable, Untrusted, WrongHash
from gbuild.host import mirrors, web
from gbuild.host.fetch import Wanted, fetch_all
from gbuild.host.files import sha256_of
from gbuild.host.snapshot_service import Copy, SnapshotService
from gbuild.host.store import Store
from gbuild.host.web import Settings
from gbuild.image.archives import (
    Freshness,
    Origin,
    State,
    distribution_origins,
    index_text,
    obtain,
    snapshots,
)
from gbuild.image.asserted import Deb, DebSet
from gbuild.image.packages import essential, find_hashes, find_names
from gbuild.image.provide import quoted
from gbuild.model.event import Event, Sink
from gbuild.model.lock import Package

LARGEST_DEB = 2 << 30
"""Bytes that a package of unknown size may have."""

_ASKING = 4
"""Questions to a snapshot service at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to look.

    ``date`` (seconds since the epoch) is when the archives had the packages, ``folder`` one of
    this host that holds packages, ``more`` are archives beside the distribution's.
    """

    store: Store
    environment: Mapping[str, str]
    sink: Sink
    now: int
    date: int | None = None
    more: Sequence[Origin] = ()
    folder: Path | None = None

    @property
    def settings(self) -> Settings:
        """Patience and proxies."""
        return replace(web.settings(self.environment), largest=LARGEST_DEB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the signed archives of one moment say of a set of packages.

    ``vouched`` holds what they list with the very same bytes, ``folders`` the places where other
    versions of packages lie, ``essential`` the names that no system may lack.
    """

    states: tuple[State, ...]
    vouched: Mapping[Deb, tuple[State, Package]]
    folders: Mapping[str, Sequence[tuple[State, str]]]
    essential: frozenset[str]


def moments(wanted: DebSet, look: Look) -> tuple[Known, ...]:
    """Ask the archives about a set of packages: as they were at the date, and as they are now.

    What does not answer, or may not be believed, is told and left out.
    """
    own = distribution_origins(
        wanted.distro, wanted.suite, wanted.arch, environment=look.environment
    )
    every = (*own, *look.more)
    asked = [_at(every, look.date, look.environment)] if look.date is not None else []
    found = (_states(origins, wanted, look) for origins in (*asked, every))
    return tuple(_known(states, wanted, look.store) for states in found if states)


def _at(origins: Sequence[Origin], date: int, environment: Mapping[str, str]) -> list[Origin]:
    """Return the origins as the snapshot service has them as of a date."""
    return [
        replace(one, bases=bases)
        for one in origins
        if (bases := mirrors.snapshot_bases(one.pocket.archive, date, environment))
    ]


def _states(origins: Sequence[Origin], wanted: DebSet, look: Look) -> tuple[State, ...]:
    fresh = Freshness(now=look.now, floors={}, allow_older=True)
    found = []
    for origin in origins:
        try:
            found.append(
                obtain(
                    origin,
                    (wanted.arch, *wanted.foreign),
                    store=look.store,
                    fresh=fresh,
                    settings=look.settings,
                    sink=look.sink,
                )
            )
        except (Unavailable, Untrusted) as error:
            look.sink(Event("info", f"not asked: {error.brief}", {"job": wanted.label}))
    return tuple(found)


def _known(states: tuple[State, ...], wanted: DebSet, store: Store) -> Known:
    by_hash = {deb.sha256: deb for deb in wanted.debs}
    names = {deb.name for deb in wanted.debs}
    vouched: dict[Deb, tuple[State, Package]] = {}
    folders: dict[str, dict[tuple[str, str], State]] = {}
    needed: set[str] = set()
    for state, text in ((s, index_text(index, store)) for s in states for index in s.indexes):
        needed |= essential(text, wanted.arch)
        for stanza in find_hashes(text, by_hash):
            deb = by_hash[stanza.sha256]
            if (deb.name, deb.version, deb.arch) == (stanza.name, stanza.version, stanza.arch):
                package = Package(archive=state.archive.name, **stanza.fields())
                vouched.setdefault(deb, (state, package))
        for stanza in find_names(text, names):
            folder = stanza.path.rpartition("/")[0]
            folders.setdefault(stanza.name, {})[state.archive.sha256, folder] = state
    return Known(
        states=states,
        vouched=vouched,
        folders={
            name: [(state, folder) for (_, folder), state in places.items()]
            for name, places in folders.items()
        },
        essential=frozenset(needed),
    )


@dataclass(slots=True)
class Search:
    """One search for several sets; ``missing`` names what was found nowhere, with the reasons."""

    look: Look
    missing: dict[str, list[Deb]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hash what lies in the person's folder: the names there mean nothing."""
        found = self.look.folder.rglob("*.deb") if self.look.folder else ()
        self.files.update((sha256_of(path), path) for path in sorted(found) if path.is_file())

    def bring(self, wanted: DebSet, known: Sequence[Known]) -> None:
        """Bring every package of a set into the store, or note those that cannot be had."""
        self._fetch(
            wanted, {deb: tuple(self._guesses(deb, known)) for deb in self._lacking(wanted)}
        )
        if lacking := self._lacking(wanted):
            self._fetch(wanted, self._answers(wanted, lacking))
        if lacking := self._lacking(wanted):
            self.missing[wanted.label] = lacking

    def _lacking(self, wanted: DebSet) -> list[Deb]:
        return [deb for deb in wanted.debs if not self.look.store.has(deb.sha256)]

    def _fetch(self, wanted: DebSet, places: Mapping[Deb, Iterable[str]]) -> None:
        files = [
            Wanted(name=deb.file_name, sha256=deb.sha256, urls=urls)
            for deb, addresses in places.items()
            if (urls := tuple(dict.fromkeys(addresses)))
        ]
        try:
            fetch_all(
                self.look.store,
                files,
                sink=self.look.sink,
                settings=self.look.settings,
                label=f"packages of {wanted.label}",
            )
        except (Unavailable, WrongHash) as error:
            self.reasons += [error.brief, *error.details]

    def _guesses(self, deb: Deb, known: Sequence[Known]) -> Iterator[str]:
        if deb.sha256 in self.files:
            yield self.files[deb.sha256].absolute().as_uri()
        for one in known:
            if deb in one.vouched:
                state, package = one.vouched[deb]
                yield from self._below(state, package.path)
        for one in known:
            for state, folder in one.folders.get(deb.name, ()):
                yield from self._below(state, f"{folder}/{deb.pool_name}")

    def _below(self, state: State, path: str) -> Iterator[str]:
        bases = (*state.origin.bases, *snapshots(state.archive, self.look.environment))
        return (f"{base}/{quoted(path)}" for base in dict.fromkeys(bases))

    def _answers(self, wanted: DebSet, lacking: Sequence[Deb]) -> dict[Deb, list[str]]:
        """Ask the snapshot service where packages lie; stop asking when it does not answer."""
        service = SnapshotService.of(
            wanted.distro,
            self.look.environment,
            settings=self.look.settings,
            sink=self.look.sink,
        )
        if service is None:
            return {}
        try:
            first = {lacking[0]: self._addresses(service, lacking[0])}
            with ThreadPoolExecutor(max_workers=_ASKING, thread_name_prefix="ask") as pool:
                others = pool.map(lambda deb: self._addresses(service, deb), lacking[1:])
                return first | dict(zip(lacking[1:], others, strict=True))
        except Unavailable as error:
            self.reasons += [error.brief, *error.details]
            return {}

    def _addresses(self, service: SnapshotService, deb: Deb) -> list[str]:
        return [
            url
            for copy in service.find(deb.name, deb.version, deb.arch)
            for url in self._places(copy)
        ]

    def _places(self, copy: Copy) -> Iterator[str]:
        """Yield a mirror's address before the service's own, which is slow and short of breath."""
        if copy.path:
            bases = mirrors.bases(copy.archive, self.look.environment)
            yield from (f"{base}/{quoted(copy.path)}" for base in bases)
        yield copy.url

    def refuse_missing(self) -> None:
        """Name everything that was found nowhere, in one error.

        Raises:
            Unavailable: there is something.
        """
        if not self.missing:
            return
        lines = [
            f"{label}: {deb.file_name} sha256 {deb.sha256}"
            for label, debs in self.missing.items()
            for deb in debs
        ]
        raise Unavailable(
            f"{len(lines)} packages of the assertion can be had nowhere",
            details=(*lines, *self.reasons[:40]),
            hint="name the time of that build with --date, or give a folder that has them with "
            "--from DIR: their sha256 decides, whatever they are called there",
        )
