"""What a project asks for: the parsed descriptor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Network = Literal["none", "full"]
Base = Literal["full", "minimal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A git repository to be cloned to ``inputs/<dir>`` and put at ``~/build/<dir>``."""

    url: str
    dir: str
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file put at ``~/build/<name>``.

    A plain string in the descriptor gives only ``name``: the file must lie in ``inputs/``.
    ``urls`` are tried in order; ``mirror:PATH`` stands for the path below the distribution
    archive that the host's apt sources name. ``hint`` says how to get a file that cannot be
    downloaded.
    """

    name: str
    urls: tuple[str, ...] = ()
    sha256: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """An additional apt repository: ``deb <source> <suite> <components>``.

    ``source`` is the address alone; Gitian's whole line (``deb http://host/path suite main``) is
    taken apart when the descriptor is read. ``packages`` are installed as with ``apt-get -t
    <distribution>``. ``key`` is the fingerprint of the repository's signing key (40 or 64
    upper-case hex), ``key_file`` the armoured key beside the descriptor. Gitian's descriptors
    have neither: such a repository cannot be locked.
    """

    distribution: str
    source: str
    packages: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    key: str | None = None
    key_file: str | None = None
    name: str | None = None
    line_suite: str | None = None

    @property
    def suite(self) -> str:
        """The suite inside the archive: what the source line names, else the distribution."""
        return self.line_suite or self.distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """``update-alternatives --set <package> <path>``, run as root before the script."""

    package: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """One descriptor, with the exact bytes it was read from.

    ``architectures`` keep the descriptor's spelling, which Gitian wrote into manifest keys;
    :func:`machine_architecture` translates ``linux64`` for machines. ``stem`` is the file's name
    without its ending; the lock beside it is ``<stem>.lock``. ``warnings`` are whole lines for a
    person, each with its place.
    """

    source: bytes
    stem: str
    name: str
    suites: tuple[str, ...]
    architectures: tuple[str, ...]
    script: str
    distro: str = "ubuntu"
    packages: tuple[str, ...] = ()
    remotes: tuple[Remote, ...] = ()
    files: tuple[InputFile, ...] = ()
    reference_datetime: str | None = None
    enable_cache: bool = False
    multiarch: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    sudo: bool = False
    optionals: tuple[str, ...] = ()
    docker_image_digests: tuple[str, ...] = ()
    network: Network | None = None
    base: Base = "full"
    source_date_epoch: bool = False
    normalise: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """Name of the build user: Gitian's ``debian`` or ``ubuntu``."""
        return "debian" if self.distro == "debian" else "ubuntu"

    @property
    def environments(self) -> tuple[tuple[str, str], ...]:
        """Every (suite, architecture), in Gitian's order: suites outside, architectures inside."""
        return tuple((s, a) for s in self.suites for a in self.architectures)

    @property
    def is_gitian_pure(self) -> bool:
        """Say whether no key of ours is used, so that Gitian would build the same."""
        ours = self.network is not None or self.base != "full"
        ours = ours or self.source_date_epoch or self.normalise
        files = any(file.urls or file.sha256 or file.hint for file in self.files)
        keys = any(repository.key or repository.key_file for repository in self.repositories)
        return not (ours or files or keys)


def machine_architecture(label: str) -> str:
    """Translate a descriptor's architecture to the distribution's word (``linux64`` is amd64)."""
    return "amd64" if label == "linux64" else label
