"""The lock of a build: the committed one beside the descriptor, else one resolved now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Unavailable
from gbuild.host.store import Store
from gbuild.image import lockfiles
from gbuild.image.proof import check
from gbuild.image.resolve import lock_descriptor, refuse_misfit
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event, Sink
from gbuild.model.lock import Lock
from gbuild.model.options import BuildOptions


@dataclass(frozen=True, slots=True)
class FoundLock:
    """A lock that the archives' signatures vouch for, where it is kept, and whose it is."""

    lock: Lock
    path: Path
    committed: bool


def find_lock(
    descriptor: Descriptor,
    path: Path,
    options: BuildOptions,
    *,
    result: Path,
    store: Store,
    sink: Sink,
    environment: Mapping[str, str],
) -> FoundLock:
    """Read and prove ``<stem>.lock``, or resolve the packages now into ``result/<name>.lock``.

    Args:
        descriptor: what is built.
        path: where its file lies.
        options: ``--upgrade`` resolves although there is a lock, ``--offline`` never does.
        result: the workspace's ``result/``.
        store: remembers what was proved.
        sink: is told what happens.
        environment: the person's environment (mirrors, proxies).

    Raises:
        DescriptorInvalid: the lock does not follow its schema.
        UsageFailure: the lock was made for another state of the descriptor.
        Untrusted: no accepted key vouches for the lock's packages.
        Unavailable: a piece of the proof can be had nowhere, or there is no lock and
            ``--offline`` forbids to make one.
    """
    beside = lockfiles.lock_path(path.absolute())
    if beside.exists() and not options.upgrade:
        return read_lock(
            descriptor,
            beside,
            options,
            folder=beside.parent,
            store=store,
            sink=sink,
            environment=environment,
        )
    if options.offline:
        raise Unavailable(
            f"{beside.name} does not exist, and --offline forbids to resolve the packages",
            hint=f"glock {path}",
        )
    why = "--upgrade" if options.upgrade else f"there is no {beside.name}"
    sink(Event("step", f"resolving the packages of today ({why})"))
    lock, proof = lock_descriptor(
        descriptor, folder=beside.parent, store=store, environment=environment, sink=sink
    )
    kept = result / f"{descriptor.name}.lock"
    lockfiles.write(kept, lock, proof)
    text = (
        f"built from today's packages: to let others repeat it, keep {kept} and "
        f"{lockfiles.proof_path(kept).name} beside the descriptor as {beside.name}"
    )
    sink(Event("warning", text))
    return FoundLock(lock, kept, committed=False)


def read_lock(
    descriptor: Descriptor,
    path: Path,
    options: BuildOptions,
    *,
    folder: Path,
    store: Store,
    sink: Sink,
    environment: Mapping[str, str],
) -> FoundLock:
    """Read the lock at ``path`` and prove it; ``folder`` is the descriptor's.

    Raises:
        GbuildError: as :func:`find_lock`, or there is none.
    """
    lock, proof = lockfiles.read(path)
    refuse_misfit(lock, descriptor, path=path)
    check(
        lock,
        proof,
        descriptor=descriptor,
        folder=folder,
        store=store,
        environment=environment,
        sink=sink,
        offline=options.offline,
        accept_unproven=options.unproven_lock,
    )
    return FoundLock(lock, path, committed=True)
