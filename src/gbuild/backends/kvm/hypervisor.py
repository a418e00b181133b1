"""One domain in a libvirt daemon: started, asked, ended."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from gbuild.backends.kvm.domain import NAMESPACE, Domain
from gbuild.backends.kvm.library import (
    Connect,
    Connection,
    DomainHandle,
    answered,
    find,
    lives,
    load,
    out_of_room,
    told,
)
from gbuild.errors import BackendFailure

_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s")
_OUTSIDE = "outside"
"""Name of QEMU's network back end and card for the way out."""

_CARD = {"driver": "virtio-net-pci", "bus": "pci.0", "addr": "0x11", "romfile": ""}
_SERIAL = "charserial0"
_PATIENCE = 30.0


def start(connection: Connection, domain: Domain) -> DomainHandle:
    """Start a domain from nothing.

    Raises:
        BackendFailure: libvirt refused.
    """
    with told(f"libvirt cannot start the target {domain.identity.partition('~')[0]}"):
        return connection.createXML(domain.xml(), 0)


def ours(connection: Connection) -> dict[str, tuple[str, str]]:
    """Return the domains that carry our mark: UUID to (store, target's id)."""
    with told("libvirt does not list its domains"):
        found = {one.UUIDString(): owner(one) for one in connection.listAllDomains()}
    return {uuid: mark for uuid, mark in found.items() if mark}


def owner(domain: DomainHandle) -> tuple[str, str] | None:
    """Return the store and the target's id that a domain was marked with, if it is ours.

    Raises:
        BackendFailure: the connection was lost.
    """
    libvirt = load()
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if not lives(domain.connect()):
            raise BackendFailure("libvirt does not answer", details=(str(error),)) from error
        return None  # gone meanwhile, or without our mark
    mark = ET.fromstring(text)  # noqa: S314 - see above
    return mark.get("store", ""), mark.get("id", "")


class Hypervisor:
    """The domain of one target, in its daemon."""

    def __init__(self, connect: Connect, uuid: str, identity: str, name: str) -> None:
        self._connect = connect
        self._uuid = uuid
        self._identity = identity
        self._name = name

    def running(self) -> bool:
        """Say whether the domain runs and is still this target's."""
        return self._domain() is not None

    def stuck(self) -> bool:
        """Say whether the domain was stopped because what it wrote could not be written.

        Raises:
            BackendFailure: it has ended.
        """
        return answered(self._connect, self._stuck)

    def port(self) -> int:
        """Return the local port that the kernel chose when QEMU asked for a free one."""
        answer = self._monitor("info usernet")
        if not (match := _FORWARD.search(answer)):
            text = f"QEMU does not say where {self._name} can be reached"
            raise BackendFailure(text, details=tuple(answer.splitlines()))
        return int(match[1])

    def connect(self, path: Path) -> None:
        """Give the machine a network card; QEMU connects it to the socket ``path``.

        Raises:
            BackendFailure: nobody listens there.
        """
        address = {"type": "unix", "path": str(path)}
        self._order("netdev_add", type="stream", id=_OUTSIDE, server=False, addr=address)
        self._order("device_add", id=_OUTSIDE, netdev=_OUTSIDE, **_CARD)

    def cut(self) -> None:
        """Take the way out away; QEMU closes its end whatever the machine does with its card.

        Raises:
            BackendFailure: it is still there.
        """
        answers = [self._ask("netdev_del", id=_OUTSIDE) for _ in range(2)]
        if answers[1].get("error", {}).get("class") != "DeviceNotFound":
            raise BackendFailure(f"the target {self._name} still has a network")
        if "error" not in answers[0]:
            self._ask("device_del", id=_OUTSIDE)

    def release(self) -> None:
        """Let QEMU end with its machine: libvirt has it wait for a daemon, which may be dead."""
        self._order("set-action", shutdown="poweroff")

    def hush(self) -> None:
        """Let nothing more of the console come to this host: it could fill the disk."""
        backend = {"type": "null", "data": {}}
        self._order("chardev-change", id=_SERIAL, backend=backend)

    def end(self) -> None:
        """End the domain; returns when it is gone.

        Raises:
            BackendFailure: it does not go.
        """
        until = time.monotonic() + _PATIENCE
        while (domain := self._domain()) is not None:
            libvirt = load()
            try:
                domain.destroy()
            except libvirt.libvirtError as error:
                if time.monotonic() > until:
                    text = f"the target {self._name} cannot be ended"
                    raise BackendFailure(text, details=(str(error),)) from error
                time.sleep(0.1)

    def _stuck(self, connection: Connection) -> bool:
        if (domain := self._ours(connection)) is None:
            raise BackendFailure(f"the target {self._name} has ended")
        with told(f"the target {self._name} has ended"):
            return out_of_room(domain)

    def _domain(self) -> DomainHandle | None:
        return answered(self._connect, self._ours)

    def _ours(self, connection: Connection) -> DomainHandle | None:
        domain = find(connection, self._uuid)
        mark = owner(domain) if domain is not None else None
        return domain if mark is not None and mark[1] == self._identity else None

    def _order(self, command: str, **arguments: object) -> None:
        """Run a command of QEMU's machine protocol (QMP), which must succeed."""
        answer = self._ask(command, **arguments)
        if "error" in answer:
            said = str(answer["error"].get("desc"))
            raise BackendFailure(f"QEMU refused {command} for {self._name}", details=(said,))

    def _ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - as QEMU gives it
        text = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self._monitor(text, human=False))

    def _monitor(self, command: str, *, human: bool = True) -> str:
        from libvirt_qemu import VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP, qemuMonitorCommand

        domain = self._domain()
        if domain is None:
            raise BackendFailure(f"the target {self._name} has ended")
        flags = VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP if human else 0
        with told(f"QEMU of {self._name} does not answer"):
            return str(qemuMonitorCommand(domain, command, flags))
