"""How the packages of a system that a person made differ from those of a lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gbuild.model.deb_file import DebFile
from gbuild.model.lock import Package

Named = tuple[str, str]
"""Name and architecture of a package."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Installed:
    """One package that a system has: as ``dpkg-query`` says."""

    name: str
    arch: str
    version: str

    @property
    def file_name(self) -> str:
        """The name apt gives the file of the package: ``name_version_arch.deb``."""
        return DebFile(self.name, self.version, self.arch).file_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What differs: locked and not there, there and not locked, there in another version.

    ``other`` holds the locked package and the one that is there.
    """

    missing: tuple[Package, ...]
    beyond: tuple[Installed, ...]
    other: tuple[tuple[Package, Installed], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.beyond or self.other)

    @property
    def brief(self) -> str:
        """A few words: how many of each kind, or ``none``."""
        counts = (
            (len(self.missing), "missing"),
            (len(self.other), "of another version"),
            (len(self.beyond), "beyond the lock"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count) or "none"

    def lines(self) -> Iterator[str]:
        """Yield one line for each package that differs."""
        for locked, found in self.other:
            yield f"{locked.name}:{locked.arch} is {found.version}, locked {locked.version}"
        for locked in self.missing:
            yield f"{locked.name}:{locked.arch} {locked.version} is not there"
        for found in self.beyond:
            yield f"{found.name}:{found.arch} {found.version} is not in the lock"


def compare(locked: Iterable[Package], installed: Iterable[Installed]) -> Drift:
    """Compare what is locked with what is there."""
    wanted = {(package.name, package.arch): package for package in locked}
    present = {(package.name, package.arch): package for package in installed}
    both = sorted(wanted.keys() & present.keys())
    return Drift(
        missing=tuple(wanted[key] for key in sorted(wanted.keys() - present.keys())),
        beyond=tuple(present[key] for key in sorted(present.keys() - wanted.keys())),
        other=tuple(
            (wanted[key], present[key])
            for key in both
            if wanted[key].version != present[key].version
        ),
    )
