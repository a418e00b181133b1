"""Where locks and their proofs lie: beside the descriptor, under its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gbuild.errors import GbuildError, UsageFailure
from gbuild.formats.lockfile import read_lock, write_lock
from gbuild.host.files import read_small, write_atomically
from gbuild.image.proof import Proof, read_proof, write_proof
from gbuild.model.lock import Lock


def lock_path(descriptor: Path) -> Path:
    """Return ``<folder>/<stem>.lock`` for a descriptor."""
    return descriptor.with_suffix(".lock")


def proof_path(lock: Path) -> Path:
    """Return where the proof of a lock lies: the lock's path and ``.proof``."""
    return lock.with_name(lock.name + ".proof")


def write(path: Path, lock: Lock, proof: Proof) -> None:
    """Write a lock and its proof; whatever interrupts it, the lock that lies there is proved.

    First comes a proof of the lock that is replaced and of the new one, then the new lock, and
    last the proof of that one alone.
    """
    beside = proof_path(path)
    both = Proof({**_replaced(path), **proof.inreleases})
    write_atomically(beside, write_proof(both))
    write_atomically(path, write_lock(lock))
    if both != proof:
        write_atomically(beside, write_proof(proof))


def _replaced(path: Path) -> Mapping[str, bytes]:
    """Return what proves the lock that lies at ``path``; nothing when none can be read there."""
    try:
        lock, proof = read(path)
    except GbuildError:
        return {}
    known = {} if proof is None else proof.inreleases
    named = {archive.sha256 for one in lock.environments for archive in one.archives}
    return {digest: known[digest] for digest in named & known.keys()}


def read(path: Path) -> tuple[Lock, Proof | None]:
    """Read a lock and, when it lies beside it, its proof.

    Raises:
        UsageFailure: there is no lock, or the proof is damaged.
        DescriptorInvalid: the lock does not follow its format.
    """
    lock = read_lock_file(path)
    beside = proof_path(path)
    if not beside.exists():
        return lock, None
    return lock, read_proof(read_small(beside), path=str(beside))


def read_lock_file(path: Path) -> Lock:
    """Read a lock alone.

    Raises:
        UsageFailure: there is no lock.
        DescriptorInvalid: it does not follow its format.
    """
    try:
        data = read_small(path)
    except FileNotFoundError as error:
        raise UsageFailure(f"there is no lock {path}", hint="make one with glock") from error
    return read_lock(data, path=str(path))
