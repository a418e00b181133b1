"""libvirt, imported when it is used, and its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from gbuild.errors import BackendFailure, HostFailure, UsageFailure
from gbuild.host.libraries import missing_library

Connection = Any
"""A ``libvirt.virConnect``: the library has no types."""

Connect = Callable[[], Connection]
"""Returns a connection that lives, a new one when the daemon was started anew."""

DomainHandle = Any
"""A ``libvirt.virDomain``."""


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


def connect(uri: str) -> Connection:
    """Open a connection to a libvirt daemon of this host.

    Raises:
        UsageFailure: the address is another host's, another hypervisor's, or not this person's.
        MissingTool: the library is not installed.
        HostFailure: nobody answers there, or we may not.
    """
    check(uri)
    libvirt = load()
    try:
        return libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise HostFailure(
            f"libvirt does not answer at {uri}", details=(str(error),), hint=_mend(uri)
        ) from error


def check(uri: str) -> None:
    """Refuse addresses that this backend cannot use.

    Raises:
        UsageFailure: it is another host's, another hypervisor's, or not this person's.
    """
    parts = urlsplit(uri)
    if "+" in parts.scheme or parts.netloc:
        raise UsageFailure(
            f"the backend kvm uses libvirt of this host, not {uri}",
            details=("kernel, disk and the port of SSH are files and a port of this host",),
            hint="run gbuild over there: ssh HOST gbuild --backend kvm ...",
        )
    if parts.scheme != "qemu" or parts.path not in ("/system", "/session"):
        raise UsageFailure(f"the backend kvm knows qemu:///system and qemu:///session, not {uri}")
    if parts.path == "/system" and os.geteuid() != 0:
        raise UsageFailure(
            "machines of qemu:///system belong to root and cannot read this person's store",
            hint="--backend-option uri=qemu:///session",
        )


def _mend(uri: str) -> str:
    if "/session" in uri:
        return "sudo apt-get install libvirt-daemon qemu-system-x86 qemu-utils"
    return "sudo apt-get install libvirt-daemon-system && sudo systemctl start libvirtd"


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
        raise BackendFailure(what, details=(str(error),)) from error


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
