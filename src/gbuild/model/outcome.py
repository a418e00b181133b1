"""What happened: the outcome of each job of a build."""

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
    """A finished job: what it made, and facts about how (backend, limits, scratch, network)."""

    label: str
    out: Path
    artifacts: tuple[Artifact, ...]
    log: Path
    seconds: float
    facts: Mapping[str, str] = field(default_factory=dict)
