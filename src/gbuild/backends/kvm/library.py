"""libvirt, imported when it is used, and its errors as ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from gbuild.backends.kvm.address import Address, parse
from gbuild.errors import BackendFailure, HostFailure
from gbuild.host.libraries import missing_library

Connection = Any
"""A ``libvirt.virConnect``: the library has no types."""

Connect = Callable[[], Connection]
"""Returns a connection that lives, a new one when the daemon was started anew."""

DomainHandle = Any
"""A ``libvirt.virDomain``."""

_Answer = TypeVar("_Answer")

_KEEPALIVE = (5, 6)
"""Seconds between two questions to a daemon elsewhere, and how many may stay unanswered."""


def load() -> Any:  # noqa: ANN401 - a module without types
    """Return the module ``libvirt``, told not to write to standard error.

    Raises:
        MissingTool: it is not installed.
    """
    try:
        import libvirt
    except ImportError as error:
        raise missing_library("libvirt", extra="kvm") from error
    libvirt.registerErrorHandler(lambda *_: None, None)
    return libvirt


_PULSE = threading.Lock()


def connect(uri: str) -> Connection:
    """Open a connection to a libvirt daemon.

    Raises:
        UsageFailure: the address is not one for this backend.
        MissingTool: the library is not installed.
        HostFailure: nobody answers there, or we may not.
    """
    address = parse(uri)
    libvirt = load()
    if address.ssh is not None:
        address.ssh.look()  # says better than libvirt what is wrong
        with _PULSE:  # others may connect to their host at this moment
            _pulse()
    try:
        connection = libvirt.open(address.uri)
        if address.ssh is not None:
            connection.setKeepAlive(*_KEEPALIVE)
    except libvirt.libvirtError as error:
        raise HostFailure(
            f"libvirt does not answer at {uri}", details=(str(error),), hint=_mend(address)
        ) from error
    return connection


def _mend(address: Address) -> str:
    over_there = "over there: " if address.ssh else ""
    if not address.system:
        return f"{over_there}sudo apt-get install libvirt-daemon qemu-system-x86 qemu-utils"
    may = ', and sudo adduser "$USER" libvirt' if address.ssh else ""
    return (
        f"{over_there}sudo apt-get install libvirt-daemon-system && sudo systemctl start libvirtd"
        f"{may}"
    )


@cache
def _pulse() -> None:
    """Let libvirt look after its connections by itself from now on.

    So it answers the daemon over there, and hears that nobody does: either side knows within half
    a minute that the other is gone (and a machine over there ends itself).
    """
    libvirt = load()
    libvirt.virEventRegisterDefaultImpl()

    def turn() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=turn, name="libvirt", daemon=True).start()


def lives(connection: Connection) -> bool:
    """Say whether a connection can be used, by a question: libvirt may not have noticed its end.

    A ctrl-C in a terminal reaches libvirt's ssh, too.
    """
    libvirt = load()
    try:
        connection.getLibVersion()
    except libvirt.libvirtError:
        return False
    return True


def answered(connect: Connect, question: Callable[[Connection], _Answer]) -> _Answer:
    """Return the answer to a question, asked anew when the connection was lost in the middle of it.

    Raises:
        HostFailure: nobody answers any more.
        BackendFailure: what the question raises over a connection that lives.
    """
    connection = connect()
    try:
        return question(connection)
    except BackendFailure:
        if lives(connection):
            raise
    return question(connect())


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn libvirt's errors of a block into one of ours that says ``what``.

    Raises:
        BackendFailure: libvirt refused.
    """
    libvirt = load()
    try:
        yield
    except libvirt.libvirtError as error:
        text = str(error)
        raise BackendFailure(what, details=(text,), hint=_remedy(text)) from error


def _remedy(text: str) -> str | None:
    if "Cannot allocate memory" in text:
        return "ask for less: -m MIB, or --backend-option memory=MIB"
    return None


def find(connection: Connection, uuid: str) -> DomainHandle | None:
    """Return a domain that exists now.

    Raises:
        BackendFailure: the daemon does not say.
    """
    libvirt = load()
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise BackendFailure("libvirt does not answer", details=(str(error),)) from error


def out_of_room(domain: DomainHandle) -> bool:
    """Say whether QEMU stopped a domain because what it wrote could not be written.

    libvirt's own error is raised when the domain has ended.
    """
    libvirt = load()
    stopped = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]
    return list(domain.state()) == stopped
