"""What will be done: jobs of ordered steps, and the inputs they use. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gbuild.model.options import Scratch
from gbuild.model.surroundings import USUAL, Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedFile:
    """An input file whose bytes are at hand: ``path`` was hashed to ``sha256``."""

    name: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRemote:
    """A remote fetched and checked out at ``commit`` in ``checkout``.

    ``author_time`` is the commit's author date in seconds since the epoch; ``tree_sha256`` a
    digest over the checked-out files (paths, modes, contents), without ``.git``.
    """

    dir: str
    url: str
    commit: str
    author_time: int
    tree_sha256: str
    checkout: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheState:
    """One of a build's caches as it was before the run.

    ``folder`` is its name below ``cache/`` (``common`` or the descriptor's name), ``digest``
    the sha256 of its manifest text, ``path`` where it lies on the host.
    """

    folder: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything a build reads, in the descriptor's order.

    ``tools`` are programs of ours that the descriptor asks for (``normalise: true``).
    """

    files: tuple[ResolvedFile, ...] = ()
    remotes: tuple[ResolvedRemote, ...] = ()
    caches: tuple[CacheState, ...] = ()
    tools: tuple[ResolvedFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFolders:
    """Make empty folders below the build user's home."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveBuild:
    """Make the build folder at ``path``, and a symbolic link ``link`` that leads to it."""

    path: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFiles:
    """Put input files into the folder ``dest`` (absolute, in the target)."""

    files: tuple[ResolvedFile, ...]
    dest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutTree:
    """Put the contents of a host folder below ``dest``; ``digest`` names what it held."""

    source: Path
    dest: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAlternative:
    """Run ``update-alternatives --set`` as root."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CutNetwork:
    """Take the network away before the script runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScript:
    """Feed ``script`` to ``argv``'s standard input as the build user."""

    argv: tuple[str, ...]
    script: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTree:
    """Fetch a folder of the target after the script: the artefacts or one cache folder."""

    source: str
    role: Literal["out", "cache"]
    folder: str


Step = (
    MakeFolders | MoveBuild | PutFiles | PutTree | SetAlternative | CutNetwork | RunScript | GetTree
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One environment built on one target.

    ``label`` is ``<suite>-<arch>`` in the descriptor's spelling (report keys, folders),
    ``environment`` the lock's label. ``network`` says whether the script has a network;
    ``mtime`` (seconds since the epoch) is given to everything that is put. ``digest`` covers
    whatever can change the artefacts, and no path of the host.
    """

    label: str
    environment: str
    environment_digest: str
    user: str
    network: bool
    sudo: bool
    scratch: Scratch
    mtime: int
    steps: tuple[Step, ...]
    surroundings: Surroundings = USUAL
    digest: str = ""

    @property
    def home(self) -> str:
        """The build user's home."""
        return self.surroundings.home or f"/home/{self.user}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every job of one run in Gitian's order, and the digest over all of them."""

    name: str
    jobs: tuple[Job, ...]
    digest: str
    warnings: tuple[str, ...] = ()
