"""What will be done: jobs of ordered steps, and the inputs they use. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
class Inputs:
    """Everything a build reads, in the descriptor's order."""

    files: tuple[ResolvedFile, ...] = ()
    remotes: tuple[ResolvedRemote, ...] = ()
