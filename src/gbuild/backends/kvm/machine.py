"""Targets of this backend as the rest of gbuild sees them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gbuild.errors import BackendFailure, GbuildError, HostFailure
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


@dataclass(frozen=True, slots=True)
class Door:
    """Where the target's SSH server is reached: a port of this host's loopback."""

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
        self._end = threading.Event()
        threading.Thread(target=self._watch, name=f"watch {self.name}", daemon=True).start()

    def _watch(self) -> None:
        """Look at the disk until the machine has ended, or nobody can say how it is."""
        while not self._end.wait(_GLANCE):
            try:
                if not self._hypervisor.stuck():
                    continue
                text = f"what {self.name} writes finds no room on this host: it is ended"
                self._sink(Event("warning", text))
                self._hypervisor.end()
            except GbuildError:
                return  # it has ended, with its daemon or without

    def connect(self) -> socket.socket:
        """Return a stream to the target's SSH server."""
        return self._door.open()

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
        """End the domain; returns when nothing of it is left."""
        with self._lock:
            if self._stopped:
                return
            self._hypervisor.end()
            self._stopped = True
            self._end.set()
            self._clean()
