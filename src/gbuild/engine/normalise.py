"""The normalisers: programs that make archives canonical, put into a target on request.

``normalise: true`` puts ``canon-tar``, ``canon-zip``, ``canon-gzip`` and ``canon-ar`` first in the
script's PATH. They are small POSIX shell programs (the folder ``normalisers``) over what the
target has: GNU tar, gzip, perl-base, python3. They decide about the artefacts, so they are inputs:
plan, report and statement name each by its sha256. Nothing here runs them, or applies what they
do when artefacts are compared.
"""

from __future__ import annotations

from pathlib import Path

from gbuild.host.files import sha256_of
from gbuild.model.plan import ResolvedFile

NORMALISERS = ".canon"
"""Their folder in the build user's home."""

_FOLDER = Path(__file__).parent / "normalisers"


def normalisers() -> tuple[ResolvedFile, ...]:
    """Return every normaliser, and what they share, by name."""
    return tuple(
        ResolvedFile(name=path.name, sha256=sha256_of(path), path=path)
        for path in sorted(_FOLDER.glob("canon-*"))
    )
