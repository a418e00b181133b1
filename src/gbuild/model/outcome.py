"""What happened: the outcome of each job of a build, and of the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of out/: relative path, sha256 hex, size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """A finished job: what it made, and facts about how (backend, limits, scratch, network).

    ``out`` is its folder of artefacts, ``caches`` maps a cache folder's name to what the
    target left in it, ``image`` the sha256 of the image that it ran in. ``reused`` is set when an
    earlier run of the same plan had finished it. ``base`` is the base manifest of a system that a
    person made, and ``image`` then empty; None when the system was the image's.
    """

    label: str
    out: Path
    artifacts: tuple[Artifact, ...]
    log: Path
    seconds: float
    image: str = ""
    caches: Mapping[str, Path] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    reused: bool = False
    base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOutcome:
    """A finished run: every job, the merged artefacts and the files that were written."""

    name: str
    plan_digest: str
    jobs: tuple[JobOutcome, ...]
    artifacts: tuple[Artifact, ...]
    out: Path
    report: Path
    report_sha256: str
    statement: Path
    lock: Path
    warnings: tuple[str, ...] = ()
