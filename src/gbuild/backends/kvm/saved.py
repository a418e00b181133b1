"""Machines that wait for their order, saved by libvirt and restored for every next target.

One file for each domain name, because libvirt restores a domain only under the name and UUID it
was saved with. The name stands for everything a saved machine depends on, and a number (slot): as
many are kept as targets ever ran at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from gbuild.backends.kvm import kept
from gbuild.backends.kvm.channel import Channel
from gbuild.backends.kvm.domain import Domain, Shape
from gbuild.backends.kvm.hypervisor import Hypervisor, start
from gbuild.backends.kvm.library import Connect, Connection, DomainHandle, load, told
from gbuild.errors import BackendFailure, TimedOut

READY = "ready"
_FILE = "machine"


def family(shape: Shape, *words: str) -> str:
    """Return what the names of all domains of one shape begin with."""
    digest = hashlib.sha256(f"{shape!r} {words!r}".encode()).hexdigest()
    return f"gb{digest[:10]}"  # short: the paths of libvirt's sockets hold it


def free_name(beginning: str, taken: Container[str]) -> str:
    """Return the name with the lowest number that is free."""
    number = 0
    while (name := f"{beginning}-{number}") in taken:
        number += 1
    return name


def save(connect: Connect, domain: Domain, folder: Path, *, timeout: float) -> None:
    """Start a domain, wait until it is ready for an order, and save it in a new folder.

    Raises:
        BackendFailure: it did not start, or could not be saved.
        TimedOut: it was not ready in time.
    """
    part = folder.with_name(f"{folder.name}~")
    kept.remove(folder)
    kept.remove(part)
    part.mkdir(parents=True, mode=0o700)
    try:
        with _ready(connect, domain, timeout) as handle, told("libvirt cannot save a machine"):
            handle.save(str(part / _FILE))
        part.rename(folder)
        kept.keep(folder)
    finally:
        kept.remove(part)


def boots(connect: Connect, domain: Domain, *, timeout: float) -> bool:
    """Say whether a domain becomes ready for an order in time."""
    try:
        with _ready(connect, domain, timeout):
            return True
    except (BackendFailure, TimedOut):
        return False


@contextmanager
def _ready(connect: Connect, domain: Domain, timeout: float) -> Iterator[DomainHandle]:
    """Run a domain as long as the block lasts."""
    hypervisor = Hypervisor(connect, domain.uuid, domain.identity, domain.identity)
    try:
        handle = start(connect(), domain)
        channel = Channel(connect(), handle, domain.identity)
        channel.expect(READY, timeout=timeout)
        channel.close()
        yield handle
    finally:
        hypervisor.end()


def restore(connection: Connection, domain: Domain, folder: Path) -> bool:
    """Start a domain from what was saved; say whether libvirt took it."""
    libvirt = load()
    try:
        connection.restoreFlags(str(folder / _FILE), domain.xml(), 0)
    except libvirt.libvirtError:
        return False
    return True
