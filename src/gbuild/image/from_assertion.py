"""Assertion to lock: the packages of an old build, pinned so that it can be repeated.

An assertion says which packages were installed and nothing of the archives they came from. When
the signed indexes of one moment (now, or a date that is given) list every one of them, the lock is
proved by those like any other. Else no archive is named in it at all: a proof of some packages
would look like a proof of the image and be none (docs/explanation/adr/0009).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Untrusted
from gbuild.formats.report import read_report
from gbuild.host.deb import DamagedPackage, control_fields, packed_at
from gbuild.host.store import Store
from gbuild.image.asserted import Deb, DebSet, package_sets
from gbuild.image.packages import refuse_incomplete
from gbuild.image.proof import Proof
from gbuild.image.seek import Known, Look, Search, moments
from gbuild.model.event import Event
from gbuild.model.lock import UNVOUCHED, Asserted, Environment, Lock, Package


@dataclass(frozen=True, slots=True)
class _Found:
    """What a package's own bytes say: whether it is essential, its size, when it was packed."""

    essential: bool
    size: int
    packed: int


def lock_assertion(data: bytes, look: Look) -> tuple[Lock, Proof]:
    """Make a lock of the packages that an assertion or a report names; all come into the store.

    Raises:
        UsageFailure: it is no report, names no packages, or a suite that is not known.
        Unavailable: packages can be had nowhere; names all of them.
        Untrusted: a package is not what its name in the assertion says.
    """
    report = read_report(data)
    search = Search(look)
    work: list[tuple[DebSet, Sequence[Known]]] = []
    for one in package_sets(report):
        look.sink(Event("step", f"looking for the packages of {one.label}", {"job": one.label}))
        for deb in one.older:
            look.sink(Event("warning", f"{one.label}: left out, there is a newer {deb.file_name}"))
        known = moments(one, look)
        search.bring(one, known)
        work.append((one, known))
    search.refuse_missing()
    digest = hashlib.sha256(data).hexdigest()
    made = [_environment(one, known, digest, look) for one, known in work]
    inreleases = {k: v for _, proof in made for k, v in proof.inreleases.items()}
    return Lock(environments=tuple(e for e, _ in made)), Proof(inreleases)


def _environment(
    wanted: DebSet, known: Sequence[Known], digest: str, look: Look
) -> tuple[Environment, Proof]:
    found = _read(wanted, look.store)
    asserted = Asserted(sha256=digest, date=max(one.packed for one in found.values()))
    whole = next((one for one in known if len(one.vouched) == len(wanted.debs)), None)
    if whole is None:
        return _make(wanted, asserted, _unvouched(found)), Proof()
    packages = tuple(package for _, package in whole.vouched.values())
    refuse_incomplete((p.name for p in packages), whole.essential, wanted.label)
    archives = {state.archive.sha256: state.archive for state in whole.states}
    proof = {digest: look.store.verified(digest).read_bytes() for digest in archives}
    return _make(wanted, asserted, packages, archives=tuple(archives.values())), Proof(proof)


def _make(
    wanted: DebSet, asserted: Asserted, packages: tuple[Package, ...], **more: object
) -> Environment:
    names = {deb.name for deb in wanted.debs}
    return Environment(
        suite=wanted.suite,
        arch=wanted.arch,
        distro=wanted.distro,
        request=(),
        packages=tuple(sorted(packages, key=lambda p: (p.name, p.arch))),
        base="full" if "locales" in names else "minimal",
        foreign=wanted.foreign,
        asserted=asserted,
        **{"archives": (), **more},  # type: ignore[arg-type] # the archives alone
    )


def _unvouched(found: Mapping[Deb, _Found]) -> tuple[Package, ...]:
    """Pin packages by their bytes alone: the lock depends on the assertion and nothing else."""
    return tuple(
        Package(
            name=deb.name,
            arch=deb.arch,
            version=deb.version,
            sha256=deb.sha256,
            size=one.size,
            archive=UNVOUCHED,
            path=deb.file_name,
            essential=one.essential,
        )
        for deb, one in found.items()
    )


def _read(wanted: DebSet, store: Store) -> dict[Deb, _Found]:
    """Look into every package, hashed again; each must be what the assertion calls it.

    Raises:
        Untrusted: some are not; names each.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        read = dict(
            zip(wanted.debs, pool.map(lambda d: _look_into(d, store), wanted.debs), strict=True)
        )
    if wrong := tuple(
        f"{deb.file_name}: {one}" for deb, one in read.items() if isinstance(one, str)
    ):
        raise Untrusted(
            f"{wanted.label}: the assertion misnames {len(wrong)} packages", details=wrong
        )
    return {deb: one for deb, one in read.items() if isinstance(one, _Found)}


def _look_into(deb: Deb, store: Store) -> _Found | str:
    path = store.verified(deb.sha256)
    try:
        fields = control_fields(path)
        packed = packed_at(path)
    except DamagedPackage as error:
        return str(error)
    said = tuple(_said(fields))
    if said != (deb.name, deb.version, deb.arch):
        return f"it is {' '.join(said)}"
    essential = fields.get("Essential", "").strip() == "yes"
    return _Found(essential=essential, size=path.stat().st_size, packed=packed)


def _said(fields: Mapping[str, str]) -> Iterator[str]:
    return (fields.get(key, "").strip() for key in ("Package", "Version", "Architecture"))


def default_output(document: Path) -> Path:
    """Return where the lock of a document goes: ``<its stem>.lock`` in the current folder."""
    return Path(f"{document.stem}.lock")
