"""Targets as the rest of gbuild sees them: instances of a server, reached over its exec."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping

from gbuild.backends.lxd.daemon import Away, Daemon, NotThere
from gbuild.backends.lxd.execute import Program, stream
from gbuild.backends.lxd.inside import server
from gbuild.backends.lxd.instance import NETWORK_DEVICE
from gbuild.backends.lxd.websocket import Refused
from gbuild.errors import BackendFailure
from gbuild.target.backend import Machine
from gbuild.target.registry import Entry

_PATIENCE = 30.0
_PAUSE = 0.1


class LxdMachine(Machine):
    """An instance. ``lifeline`` is the program that ends it with us; none when it is detached."""

    def __init__(
        self,
        entry: Entry,
        daemon: Daemon,
        *,
        forget: Callable[[], None],
        lifeline: Program | None = None,
    ) -> None:
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts: Mapping[str, str] = entry.facts
        self._daemon = daemon
        self._instance = entry.held["instance"][0]
        files = entry.facts.get("open_files", "")
        self._files = int(files) if files.isdecimal() else None
        self._forget = forget
        self._lifeline = lifeline
        self._stopped = False
        self._lock = threading.Lock()
        self._lost = threading.Event()
        if lifeline is not None:
            threading.Thread(target=self._watch, args=(lifeline,), daemon=True).start()

    def connect(self) -> socket.socket:
        """Return a stream to a new SSH server in the target."""
        try:
            return stream(self._daemon, self._instance, server(self._files))
        except NotThere as error:
            raise BackendFailure(f"the target {self.name} has ended") from error

    def cut_network(self) -> None:
        """Take the network card out of the target, or end the target."""
        try:
            unplug(self._daemon, self._instance)
            self._check_cut()
        except BackendFailure:
            self.stop()  # better no target than one with a forbidden network
            raise

    def _check_cut(self) -> None:
        if left := interfaces(self._daemon, self._instance) - {"lo"}:
            raise BackendFailure(f"the target {self.name} still has {', '.join(sorted(left))}")

    def alive(self) -> bool:
        """Say whether the target still runs."""
        if self._stopped:
            return False
        if self._lifeline is not None and not self._lost.is_set():
            return True
        try:
            return running(self._daemon, self._instance)
        except BackendFailure:
            return False  # out of reach

    def stop(self) -> None:
        """End the target; returns when nothing of it is left."""
        with self._lock:
            if self._stopped:
                return
            remove(self._daemon, self._instance)
            self._stopped = True
            self._forget()
            if self._lifeline is not None:
                self._lifeline.shut()

    def _watch(self, lifeline: Program) -> None:
        """Read the lifeline until it ends: then the target has ended, or is out of reach."""
        with contextlib.suppress(OSError, Refused):
            while lifeline.stdout.receive() is not None:
                pass
        self._lost.set()
        lifeline.shut()
        lifeline.close()


def running(daemon: Daemon, instance: str) -> bool:
    """Say whether an instance is there and runs.

    Raises:
        BackendFailure: the server does not say.
    """
    try:
        found = daemon.get("instances", instance, doing="look at an instance")
    except NotThere:
        return False
    return str(found.get("status")) == "Running"


def remove(daemon: Daemon, instance: str) -> bool:
    """End an instance and remove it; say whether there was one.

    Ours are ephemeral: when one stops the server begins to remove it, and is busy meanwhile.

    Raises:
        Away: it is out of reach.
        BackendFailure: the server refused for too long.
    """
    until = time.monotonic() + _PATIENCE
    there = False
    while True:
        try:
            found = daemon.get("instances", instance, doing=f"look at {instance}")
            there = True
            _end(daemon, instance, str(found.get("status")))
        except NotThere:
            return there
        except Away:
            raise  # no time mends that
        except BackendFailure:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _end(daemon: Daemon, instance: str, status: str) -> None:
    """Take the next step towards the end."""
    path = ("instances", instance)
    doing = f"remove the instance {instance}"
    if status == "Stopped":
        daemon.ask("delete", path, doing=doing)
    else:
        order = {"action": "stop", "force": True, "timeout": 30}
        daemon.ask("put", (*path, "state"), doing=doing, json=order)


def interfaces(daemon: Daemon, instance: str) -> frozenset[str]:
    """Return the names of the instance's network interfaces, as the server sees them."""
    doing = f"look at the network of {instance}"
    state = daemon.get("instances", instance, "state", doing=doing)
    return frozenset((state.get("network") or {}).keys())


def unplug(daemon: Daemon, instance: str) -> None:
    """Remove the network card from the instance's configuration and from the instance."""
    doing = f"cut the network of {instance}"
    path = ("instances", instance)
    found = daemon.get(*path, doing=doing)
    devices = {k: v for k, v in found["devices"].items() if k != NETWORK_DEVICE}
    if devices == found["devices"]:
        return
    names = ("architecture", "config", "ephemeral", "profiles", "description", "stateful")
    kept = {name: found[name] for name in names if name in found}
    daemon.ask("put", path, doing=doing, json={**kept, "devices": devices})
