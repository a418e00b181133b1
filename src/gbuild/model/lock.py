"""The pinned package sets of a descriptor's environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gbuild.model.deb_file import DebFile

FORMAT = 1

BOOT_ARCHITECTURES: Mapping[str, str] = {"amd64": "amd64", "i386": "amd64"}
"""Architecture of the kernel that a virtual machine of an environment boots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One signed archive state: which InRelease vouched for the packages taken from it.

    ``name`` is symbolic (``debian``, ``debian-security``, ``ubuntu``, or the name of a
    descriptor's own repository); ``suite`` the suite inside it (``bookworm-updates``);
    ``sha256`` and ``date`` (seconds since the epoch) are of the signed InRelease; ``signed_by``
    the fingerprints (40 upper-case hex) of the keys whose signatures were good.
    """

    name: str
    suite: str
    sha256: str
    date: int
    signed_by: tuple[str, ...]
    components: tuple[str, ...] = ("main",)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """One binary package: identity, where it lies in its archive, and its exact bytes."""

    name: str
    arch: str
    version: str
    sha256: str
    size: int
    archive: str
    path: str
    essential: bool = False

    @property
    def file_name(self) -> str:
        """The name apt gives the file in its cache: ``name_version_arch.deb``, colon as %3a."""
        return DebFile(self.name, self.version, self.arch).file_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Asserted:
    """Where an environment's packages come from when no archive was asked to choose them.

    ``sha256`` is of the assertion or report whose base manifest names them; ``date`` (seconds
    since the epoch) is when the newest of them was packed.
    """

    sha256: str
    date: int


UNVOUCHED = "unvouched"
"""Stands for the archive of packages that no signed archive vouches for; no archive's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One suite x architecture with its pinned packages, sorted by (name, arch).

    ``boot`` is what a virtual machine starts with (a kernel, a static busybox): no part of the
    image, of its digest or of base_manifests. ``asserted`` is set when the packages were read
    from an assertion; without ``archives`` nobody but its signer vouches for them.
    """

    suite: str
    arch: str
    distro: str
    request: tuple[str, ...]
    archives: tuple[Archive, ...]
    packages: tuple[Package, ...]
    family: str = "deb"
    base: str = "full"
    foreign: tuple[str, ...] = ()
    boot: tuple[Package, ...] = ()
    asserted: Asserted | None = None

    @property
    def vouched(self) -> bool:
        """Whether signed archives are named that vouch for the packages."""
        return bool(self.archives)

    @property
    def label(self) -> str:
        """``<suite>-<arch>``."""
        return f"{self.suite}-{self.arch}"

    @property
    def boot_architecture(self) -> str | None:
        """The architecture of ``boot``, or None where no virtual machine is known."""
        return BOOT_ARCHITECTURES.get(self.arch)

    @property
    def date(self) -> int:
        """The image's SOURCE_DATE_EPOCH: the newest archive's date, else the newest package's."""
        own = self.asserted.date if self.asserted else 0
        return max((a.date for a in self.archives), default=own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """All environments of one descriptor.

    ``images`` maps ``<suite>-<arch>`` to {recipe number as text: sha256 of the image tar}; it
    is not part of the lock's digest.
    """

    environments: tuple[Environment, ...]
    images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    format: int = FORMAT

    def environment(self, label: str) -> Environment | None:
        """Return the environment called ``<suite>-<arch>``, if it is locked."""
        return next((e for e in self.environments if e.label == label), None)
