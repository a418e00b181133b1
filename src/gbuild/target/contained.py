"""Containers of this host as the rest of gbuild sees them: in this process, or in a keeper's."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from gbuild.errors import BackendFailure
from gbuild.host.sandbox.machine import Sandbox
from gbuild.host.uplink import interfaces
from gbuild.target.backend import Machine
from gbuild.target.registry import Entry, Registry

_PATIENCE, _MOMENT = 30.0, 5.0
_ANSWER = 4096


class Link(Protocol):
    """A way out of a target."""

    def cut(self) -> None:
        """Take it away; a second call does nothing more.

        Raises:
            BackendFailure: it is still there.
        """

    def stop(self) -> None:
        """Take it away without looking whether it is gone: the target is."""


class ContainedMachine(Machine):
    """A container that ends with this process.

    Args:
        entry: as it was written down.
        sandbox: what keeps it.
        cleanup: is unwound when it stops: locks, folders, groups.
        link: its network, if it has one.
        inside: a process in its network namespace; by default the sandbox's own.
    """

    def __init__(
        self,
        entry: Entry,
        sandbox: Sandbox,
        cleanup: ExitStack,
        link: Link | None,
        *,
        inside: int | None = None,
    ) -> None:
        self.id = entry.id
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts: Mapping[str, str] = entry.facts
        self._sandbox = sandbox
        self._cleanup = cleanup
        self._link = link
        self._inside = sandbox.pid if inside is None else inside
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The process that ends when the machine has ended."""
        return self._sandbox.pid

    def connect(self) -> socket.socket:
        """Return a stream to a new SSH server in the target."""
        return self._sandbox.open_stream()

    def cut_network(self) -> None:
        """Take the network away for good, or end the target."""
        with self._lock:
            if self._link is not None:
                try:
                    self._link.cut()
                except BackendFailure:
                    self._sandbox.end()  # better no machine than one with a forbidden network
                    raise
                self._link = None
        if self.alive() and interfaces(self._inside) != {"lo"}:
            self.stop()
            raise BackendFailure(f"the target {self.name} still has a network")

    def alive(self) -> bool:
        """Say whether the target still runs."""
        return self._sandbox.alive()

    def stop(self) -> None:
        """End the target; returns when nothing of it is left."""
        with self._lock:
            self._sandbox.end()
            if self._link is not None:
                self._link.stop()
                self._link = None
            self._cleanup.close()


class AttachedMachine(Machine):
    """A detached target, reached through the process that keeps it."""

    def __init__(self, entry: Entry, registry: Registry) -> None:
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts = entry.facts
        self._entry = entry
        self._folder = registry.folder

    def connect(self) -> socket.socket:
        """Return a stream to a new SSH server in the target."""
        _, descriptors = self._ask("connect")
        if len(descriptors) != 1:
            raise BackendFailure(f"the keeper of {self.name} gave no connection")
        return socket.socket(fileno=descriptors[0])

    def cut_network(self) -> None:
        """Take the network away for good, or end the target."""
        self._ask("cut")

    def alive(self) -> bool:
        """Say whether the target still runs."""
        return self._entry.alive()

    def stop(self) -> None:
        """End the target; returns when nothing of it is left."""
        if not self.alive():
            return
        try:
            self._ask("stop")
        except BackendFailure:
            if not self._ends(_MOMENT):  # else its keeper was ending anyhow
                raise
        self._ends(_PATIENCE)

    def _ends(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        return not self.alive()

    def _ask(self, request: str) -> tuple[str, list[int]]:
        """Send one request to the keeper.

        Raises:
            BackendFailure: it does not run, did not answer, or refused.
        """
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
                channel.settimeout(_PATIENCE)
                self._reach(channel)
                channel.send(request.encode())
                data, descriptors, _, _ = socket.recv_fds(channel, _ANSWER, 1)
        except OSError as error:
            raise BackendFailure(
                f"the target {self.name} does not answer",
                details=(str(error),),
                hint="gtarget list",
            ) from error
        answer = data.decode(errors="replace")
        if answer != "ok":
            raise BackendFailure(f"the target {self.name} refused to {request}", details=(answer,))
        return answer, descriptors

    def _reach(self, channel: socket.socket) -> None:
        """Connect to the keeper; one that still starts its target listens when it is done."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return reach(channel, self._folder, f"{self._entry.id}.sock")
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline or not self.alive():
                    raise
            time.sleep(0.01)


def reach(channel: socket.socket, folder: Path, name: str) -> None:
    """Connect to a socket whose path may be longer than the 107 bytes of unix(7)."""
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        channel.connect(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.close(directory)


def listen(folder: Path, name: str) -> socket.socket:
    """Listen on a socket in a folder that only its owner may enter."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        channel.bind(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.close(directory)
    channel.listen(16)
    return channel
