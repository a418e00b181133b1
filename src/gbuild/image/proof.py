"""Why a lock may be believed: the signed InRelease files behind it, and the way from them to it.

A package is vouched for when an accepted key signed an InRelease, that InRelease has the digest
of an index, and that index has the package's exact entry. The proof file beside a lock carries
the InRelease files. The indexes are too large for it; they are in the store of whoever locked,
and elsewhere are fetched by the digest that the InRelease states, so nobody needs to be trusted
for them. Without an index nothing is proved, and that is an error, never a smaller promise.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gbuild.errors import GbuildError, Unavailable, Untrusted, UsageFailure
from gbuild.formats.lockfile import environment_digest
from gbuild.host import web
from gbuild.host.files import write_atomically
from gbuild.host.store import Store
from gbuild.image.archives import (
    Origin,
    believe,
    fetch_indexes,
    index_files,
    index_text,
    origins,
    snapshots,
)
from gbuild.image.packages import essential, find, refuse_incomplete
from gbuild.image.release import IndexFile
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.event import Event, Sink
from gbuild.model.lock import Archive, Environment, Lock, Package

_LARGEST = 256 << 20


@dataclass(frozen=True, slots=True)
class Proof:
    """InRelease files by their sha256."""

    inreleases: Mapping[str, bytes] = field(default_factory=dict)


def write_proof(proof: Proof) -> bytes:
    """Write a proof file: xz of a JSON object, sha256 to text (Latin-1, byte for byte)."""
    texts = {digest: data.decode("latin-1") for digest, data in proof.inreleases.items()}
    document = {"format": 1, "inreleases": texts}
    return lzma.compress(json.dumps(document, sort_keys=True).encode(), preset=6)


def read_proof(data: bytes, *, path: str) -> Proof:
    """Read a proof file; each text must have the digest it is listed under.

    Raises:
        UsageFailure: it is not a proof file.
    """
    try:
        unpacker = lzma.LZMADecompressor()
        document = json.loads(unpacker.decompress(data, _LARGEST))
        texts = {str(k): str(v).encode("latin-1") for k, v in document["inreleases"].items()}
        whole = unpacker.eof and document["format"] == 1
    except (lzma.LZMAError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageFailure(f"{path} is not a proof of a lock") from error
    if not whole or any(hashlib.sha256(v).hexdigest() != k for k, v in texts.items()):
        raise UsageFailure(f"{path} is not a proof of a lock, or is damaged")
    return Proof(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was proved of one environment: every package, through these archives."""

    label: str
    packages: int
    archives: tuple[Archive, ...]
    remembered: bool


def check(
    lock: Lock,
    proof: Proof | None,
    *,
    descriptor: Descriptor,
    folder: Path,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink,
    offline: bool = False,
    again: bool = False,
    accept_unproven: bool = False,
) -> tuple[Finding, ...]:
    """Prove every environment of a lock that the descriptor asks for.

    Args:
        lock: whose packages are in doubt.
        proof: its InRelease files; the store's are used for what it lacks.
        descriptor: names the repositories and their keys.
        folder: where the descriptor lies.
        store: holds the indexes, and remembers what was proved with which keys.
        environment: the person's environment (mirrors, keyrings, proxies).
        sink: is told the steps.
        offline: fetch no index.
        again: prove also what was proved before.
        accept_unproven: pass over environments that name no archive at all, with a warning; an
            environment that names one is proved whole all the same.

    Raises:
        Untrusted: a package or an archive is not vouched for; names each.
        Unavailable: a piece of the proof can be had nowhere.
    """
    wanted = dict.fromkeys(descriptor.environments)
    found = []
    for one in lock.environments:
        label = next((a for s, a in wanted if one.label == f"{s}-{machine_architecture(a)}"), None)
        if label is None:
            continue
        if not one.vouched:
            _unproven(one, sink, accepted=accept_unproven)
            continue
        sources = origins(descriptor, one.suite, label, folder=folder, environment=environment)
        record = _record(one, sources, store)
        if again or not record.exists():
            _Check(one, sources, proof or Proof(), store, environment, sink, offline).run()
            remember(one, sources, store)
            found.append(_finding(one, remembered=False))
        else:
            found.append(_finding(one, remembered=True))
    return tuple(found)


def _unproven(environment: Environment, sink: Sink, *, accepted: bool) -> None:
    """Refuse what no archive vouches for, or say that the person wants it all the same."""
    came = environment.asserted.sha256[:16] if environment.asserted else "nowhere"
    brief = (
        f"no archive vouches for the {len(environment.packages)} packages of {environment.label}: "
        f"they were read from the assertion sha256:{came}..."
    )
    if not accepted:
        raise Untrusted(
            brief,
            details=("who wrote that assertion could have named any bytes as packages",),
            hint="to repeat that build and trust its signer with it: gbuild --unproven-lock",
        )
    sink(Event("warning", f"{brief}; accepted (--unproven-lock)"))


def remember(environment: Environment, sources: Sequence[Origin], store: Store) -> None:
    """Note in the store that an environment was proved with the keys of these origins."""
    path = _record(environment, sources, store)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, b"")


def _record(environment: Environment, sources: Sequence[Origin], store: Store) -> Path:
    keys = hashlib.sha256()
    for one in sources:
        only = ",".join(sorted(one.keys.only or ()))
        keys.update(
            hashlib.sha256(one.keys.ring).digest() + f"{only} {one.keys.expired}\n".encode()
        )
    for package in environment.boot:  # no part of the digest, yet in doubt like all others
        keys.update(f"{package}\n".encode())
    name = f"{environment_digest(environment)}-{keys.hexdigest()[:16]}"
    return store.root / "proved" / name


def _finding(environment: Environment, *, remembered: bool) -> Finding:
    return Finding(
        label=environment.label,
        packages=len(environment.packages) + len(environment.boot),
        archives=environment.archives,
        remembered=remembered,
    )


@dataclass(frozen=True, slots=True)
class _Check:
    """The proof of one environment."""

    locked: Environment
    sources: Sequence[Origin]
    proof: Proof
    store: Store
    environment: Mapping[str, str]
    sink: Sink
    offline: bool

    def run(self) -> None:
        label = self.locked.label
        self.sink(Event("step", f"proving the lock of {label}", {"job": label}))
        needed: set[str] = set()
        archives = self.locked.archives
        vouched = {one for archive in archives for one in self._vouched(archive, needed)}
        every = (*self.locked.packages, *self.locked.boot)
        if strangers := [one for one in every if one not in vouched]:
            raise Untrusted(
                f"the lock of {label} holds {len(strangers)} packages that no signed archive has",
                details=tuple(
                    f"{p.file_name}: sha256 {p.sha256} is not in the signed index of {p.archive}"
                    for p in strangers
                ),
                hint="do not use this lock; make a new one with glock",
            )
        refuse_incomplete((one.name for one in self.locked.packages), needed, label)

    def _vouched(self, archive: Archive, needed: set[str]) -> Iterator[Package]:
        """Yield the locked packages' entries of one archive's signed indexes.

        The names of its essential packages are added to ``needed``.
        """
        origin = self._origin(archive)
        data = self._inrelease(archive)
        believed, release = believe(data, origin)
        if believed != archive:
            raise Untrusted(
                f"the lock of {self.locked.label} misstates {archive.name} {archive.suite}",
                details=(f"locked: {archive}", f"signed: {believed}"),
            )
        machine = {one.arch for one in self.locked.boot} - {"all"}
        wanted = dict.fromkeys((self.locked.arch, *self.locked.foreign, *sorted(machine)))
        indexes = index_files(archive, release, tuple(wanted))
        self._fetch(archive, origin, indexes)
        every = (*self.locked.packages, *self.locked.boot)
        paths = frozenset(p.path for p in every if p.archive == archive.name)
        for index in indexes:
            text = index_text(index, self.store)
            needed |= essential(text, self.locked.arch)
            for stanza in find(text, paths):
                yield Package(archive=archive.name, **stanza.fields())

    def _origin(self, archive: Archive) -> Origin:
        for one in self.sources:
            pocket = one.pocket
            if (pocket.archive, pocket.suite) == (archive.name, archive.suite):
                return one
        raise Untrusted(
            f"the lock of {self.locked.label} uses an archive that its descriptor does not: "
            f"{archive.name} {archive.suite}"
        )

    def _inrelease(self, archive: Archive) -> bytes:
        if (data := self.proof.inreleases.get(archive.sha256)) is not None:
            return data
        if self.store.has(archive.sha256):
            return self.store.verified(archive.sha256).read_bytes()
        raise Untrusted(
            f"nothing proves the lock of {self.locked.label}: "
            f"the InRelease of {archive.name} {archive.suite} is not at hand",
            details=(f"sha256 {archive.sha256}",),
            hint="put the .lock.proof file beside the lock, or make a new lock with glock",
        )

    def _fetch(self, archive: Archive, origin: Origin, indexes: Sequence[IndexFile]) -> None:
        bases = (*origin.bases, *snapshots(archive, self.environment))
        try:
            fetch_indexes(
                archive,
                indexes,
                bases,
                store=self.store,
                settings=web.settings(self.environment),
                sink=self.sink,
                offline=self.offline,
            )
        except GbuildError as error:
            raise Unavailable(
                f"the lock of {self.locked.label} cannot be proved: its signed index of "
                f"{archive.name} {archive.suite} can be had nowhere",
                details=(error.brief, *error.details),
                hint="make a new lock with glock",
            ) from error
