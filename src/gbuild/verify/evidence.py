"""Outside evidence of when a signature existed: what others wrote down, never its own date."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gbuild.host.git.history import first_seen, pinned
from gbuild.host.timestamps import Authorities
from gbuild.model.sigs_entries import is_entry_file
from gbuild.model.verdict import Evidence
from gbuild.verify.checker import Witness

_SHA1_DIGITS = 40


def by_history(folder: Path, commit: str) -> Witness:
    """Make a witness of a repository up to a commit that the person pins by its whole id.

    A signature was there at the latest when the main line first had that very file.

    Raises:
        UsageFailure: that is no repository, no whole id, or a repository without the commit.
    """
    git = pinned(folder, commit)
    seen = first_seen(git, commit, lambda path: is_entry_file(path.rpartition("/")[2]))
    algorithm = "sha1" if len(commit) == _SHA1_DIGITS else "sha256"

    def witness(signature: bytes, _stamp: bytes | None) -> Evidence | None:
        found = seen.get(_blob_id(signature, algorithm))
        if found is None:
            return None
        return Evidence(seen=found.moment, source=f"commit {found.commit[:12]} of {folder.name}")

    return witness


def by_authorities(certificates: Path) -> Witness:
    """Make a witness of the timestamp proofs that lie beside signatures.

    Raises:
        UsageFailure: the file holds no certificate.
        MissingTool: openssl is not installed.
    """
    authorities = Authorities(certificates)

    def witness(signature: bytes, stamp: bytes | None) -> Evidence | None:
        moment = None if stamp is None else authorities.seen(signature, stamp)
        if moment is None:
            return None
        return Evidence(seen=moment, source=f"a timestamp by {certificates.name}")

    return witness


def earliest(*witnesses: Witness) -> Witness | None:
    """Make one witness of several: what was seen first counts. None when there is none."""

    def witness(signature: bytes, stamp: bytes | None) -> Evidence | None:
        told = (each(signature, stamp) for each in witnesses)
        return min((each for each in told if each), key=lambda each: each.seen, default=None)

    return witness if witnesses else None


def _blob_id(data: bytes, algorithm: str) -> str:
    """Return git's name of a file with these bytes."""
    return hashlib.new(
        algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False
    ).hexdigest()
