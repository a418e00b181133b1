"""Packages that an assertion names: its base manifests taken apart. Pure.

A base manifest has one ``<sha256>  <name>_<version>_<arch>.deb`` a line, for everything that was
installed (apt's file names: a colon is written ``%3a``). Manifests of older Gitians also list
versions that lay in apt's cache; the newest of a package is the one that was installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cmp_to_key

from gbuild.errors import UsageFailure
from gbuild.formats.lock_schema import NAME, VERSION
from gbuild.formats.manifest import read_manifest
from gbuild.image.suites import distribution_of
from gbuild.model import names
from gbuild.model.deb_file import DebFile, read_file_name
from gbuild.model.deb_version import newer
from gbuild.model.descriptor import machine_architecture
from gbuild.model.manifest import Entry, Report

_MOST = 20_000
"""Packages of one environment; Debian's largest desktops have 3,000."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Deb:
    """One package as a base manifest names it."""

    name: str
    arch: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name in the manifest."""
        return DebFile(self.name, self.version, self.arch).file_name

    @property
    def pool_name(self) -> str:
        """The file's name in an archive: without the version's epoch."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.arch}.deb"


@dataclass(frozen=True, slots=True, kw_only=True)
class DebSet:
    """All packages of one environment; ``older`` were listed too, beside a newer version."""

    suite: str
    arch: str
    distro: str
    debs: tuple[Deb, ...]
    older: tuple[Deb, ...] = ()

    @property
    def label(self) -> str:
        """``<suite>-<arch>``, of the machine's architecture."""
        return f"{self.suite}-{self.arch}"

    @property
    def foreign(self) -> tuple[str, ...]:
        """Further architectures that packages have, sorted."""
        return tuple(sorted({deb.arch for deb in self.debs} - {self.arch, "all"}))


def package_sets(report: Report) -> tuple[DebSet, ...]:
    """Return the packages of every environment that a report or an assertion names.

    Raises:
        UsageFailure: it names none, or a line that is no package's.
    """
    found: dict[str, DebSet] = {}
    for label, text in report.base_manifests.items():
        one = _package_set(label, text)
        if found.setdefault(one.label, one) != one:
            raise UsageFailure(f"two base manifests of {one.label} name different packages")
    if not found:
        raise UsageFailure("it has no base manifest: nothing says which packages were installed")
    return tuple(found.values())


def _package_set(label: str, text: str) -> DebSet:
    suite, _, arch = label.rpartition("-")
    for word, grammar in ((suite, names.SUITE), (arch, names.ARCHITECTURE)):
        if reason := grammar.refusal(word):
            raise UsageFailure(f"the base manifest {names.shown(label)}: {reason}")
    debs = [_deb(entry, label) for entry in read_manifest(text)]
    if not debs or len(debs) > _MOST:
        raise UsageFailure(f"the base manifest {label} lists {len(debs)} packages")
    kept = {(deb.name, deb.arch): deb for deb in sorted(debs, key=cmp_to_key(_older_first))}
    chosen = set(kept.values())
    return DebSet(
        suite=suite,
        arch=machine_architecture(arch),
        distro=distribution_of(suite),
        debs=tuple(sorted(chosen)),
        older=tuple(sorted(deb for deb in debs if deb not in chosen)),
    )


def _older_first(one: Deb, two: Deb) -> int:
    return newer(one.version, two.version)


def _deb(entry: Entry, label: str) -> Deb:
    told = read_file_name(entry.path) or DebFile("", "", "")
    deb = Deb(name=told.name, version=told.version, arch=told.arch, sha256=entry.digest)
    if any(_refusals(deb)):
        raise UsageFailure(
            f"the base manifest {label} names something that is no package: "
            f"{names.shown(entry.path)}"
        )
    return deb


def _refusals(deb: Deb) -> Iterator[str | None]:
    yield NAME.refusal(deb.name)
    yield VERSION.refusal(deb.version)
    if deb.arch != "all":
        yield names.ARCHITECTURE.refusal(deb.arch)
