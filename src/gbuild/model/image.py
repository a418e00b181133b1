"""A root file system made from one environment of a lock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gbuild.model.lock import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in the store: same lock, same recipe, same bytes.

    ``key`` names what went in, ``sha256`` is the digest of ``tar`` (uncompressed, numeric
    owners, no uid map), ``recipe`` the number of the procedure that made it.
    """

    key: str
    sha256: str
    recipe: int
    environment: Environment
    tar: Path
