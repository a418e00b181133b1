"""Targets of this backend as the rest of gbuild sees them."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gbuild.backends.kvm.ssh import Ssh
from gbuild.errors import BackendFailure, GbuildError, HostFailure
from gbuild.host.stream import last_words
from gbuild.model.event import Event, Sink
from gbuild.target.backend import Machine
from gbuild.target.registry import Entry

_PATIENCE = 60.0
_GLANCE = 2.0
"""Seconds between two looks at a domain's disk."""


class Hypervisor(Protocol):
    """What a machine asks of the libvirt that runs it."""

    def running(self) -> bool:
        """Say whether the domain still runs."""

    def stuck(self) -> bool:
        """Say whether what it wrote could not be written; BackendFailure: it has ended."""

    def cut(self) -> None:
        """Take the outside interface away."""

    def end(self) -> None:
        """End the domain; returns when it is gone."""


class Door(Protocol):
    """The way to the target's SSH server."""

    def open(self) -> socket.socket:
        """Return a stream to the server.

        Raises:
            OSError: nobody answers there yet.
            GbuildError: nobody will.
        """

    def overheard(self) -> tuple[str, ...]:
        """Return what the way complained of."""


@dataclass(frozen=True, slots=True)
class LocalDoor:
    """A port of this host's loopback."""

    port: int

    def open(self) -> socket.socket:
        """Return a stream to the server.

        Raises:
            OSError: nobody answers there yet.
        """
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE)
        try:
            answered = stream.recv(1, socket.MSG_PEEK)
        except OSError:
            stream.close()
            raise
        if not answered:
            stream.close()
            raise ConnectionRefusedError("the target's SSH server does not answer")
        stream.settimeout(None)
        return stream

    def overheard(self) -> tuple[str, ...]:
        """Return nothing: the kernel does not complain."""
        return ()


@dataclass(frozen=True, slots=True)
class FarDoor:
    """A port of another host's loopback."""

    ssh: Ssh
    port: int
    heard: deque[str] = field(default_factory=last_words)

    def open(self) -> socket.socket:
        """Return a stream to the server."""
        return self.ssh.reach(self.port, self.heard)

    def overheard(self) -> tuple[str, ...]:
        """Return what ssh complained of."""
        return tuple(self.heard)


class KvmMachine(Machine):
    """A domain; ``clean`` removes what is left of it once it has ended.

    One whose disk can take no more is stopped by QEMU in the middle of what it does, so that it
    never reads something else than it wrote. Nobody would answer then: it is ended, and told.
    """

    def __init__(
        self,
        entry: Entry,
        hypervisor: Hypervisor,
        door: Door,
        clean: Callable[[], None],
        sink: Sink,
        *,
        host: str = "this host",
    ) -> None:
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts: Mapping[str, str] = entry.facts
        self._hypervisor = hypervisor
        self._door = door
        self._clean = clean
        self._lock = threading.Lock()
        self._stopped = False
        self._sink = sink
        self._host = host
        self._end = threading.Event()
        threading.Thread(target=self._watch, name=f"watch {self.name}", daemon=True).start()

    def _watch(self) -> None:
        """Look at the disk until the machine has ended, or nobody can say how it is."""
        while not self._end.wait(_GLANCE):
            try:
                if not self._hypervisor.stuck():
                    continue
                text = f"what {self.name} writes finds no room on {self._host}: it is ended"
                self._sink(Event("warning", text))
                self._hypervisor.end()
            except GbuildError:
                return  # it has ended, with its daemon or without

    def connect(self) -> socket.socket:
        """Return a stream to the target's SSH server."""
        return self._door.open()

    def overheard(self) -> tuple[str, ...]:
        """Return what the way to the server complained of."""
        return self._door.overheard()

    def cut_network(self) -> None:
        """Take the outside interface away for good, or end the target."""
        try:
            self._hypervisor.cut()
        except BackendFailure:
            self.stop()  # better no machine than one with a forbidden network
            raise

    def alive(self) -> bool:
        """Say whether the domain still runs; where its daemon has ended, it has ended, too."""
        try:
            return not self._stopped and self._hypervisor.running()
        except HostFailure:
            return False

    def stop(self) -> None:
        """End the domain; returns when nothing of it is left.

        Of a libvirt that does not answer nothing more can be asked: the machine ends without it,
        and its entry stays for ``gtarget prune``.
        """
        with self._lock:
            if self._stopped:
                return
            try:
                self._hypervisor.end()
                self._ended()
                self._clean()
            except HostFailure as error:
                self._ended()
                self._sink(left_there(self.name, error))

    def _ended(self) -> None:
        self._stopped = True
        self._end.set()


def left_there(name: str, error: HostFailure) -> Event:
    """Return the warning about a target on a host whose libvirt does not answer any more."""
    return Event("warning", f"{error.brief}: what {name} left there stays until gtarget prune")
