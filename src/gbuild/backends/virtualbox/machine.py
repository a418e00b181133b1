"""A machine, running for one target, as the rest of gbuild sees it."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from gbuild.backends.virtualbox.manage import LOCKED, NOT_FOUND, Manage, Refused
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure, GbuildError
from gbuild.host.stream import last_words
from gbuild.target.backend import Machine
from gbuild.target.registry import Entry, Registry

_PATIENCE = 60.0
_PAUSE = 0.1


Cut = Callable[[], None]
"""Takes the network of a machine away."""


class VirtualBoxMachine(Machine):
    """A running machine.

    Args:
        entry: what the registry knows of it.
        manage: asks VirtualBox.
        way: root's way into it.
        registry: forgets it once it is off.
        cut: takes its network away; None if it never had one.
    """

    def __init__(
        self, entry: Entry, manage: Manage, way: Way, registry: Registry, *, cut: Cut | None
    ) -> None:
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts: Mapping[str, str] = entry.facts
        self.foreign = not _ours(entry)
        self._entry = entry
        self._manage = manage
        self._way = way
        self._registry = registry
        self._cut = cut
        self._heard = last_words()
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def uuid(self) -> str:
        """VirtualBox's name for it."""
        return self._entry.held["machine"][0]

    def connect(self) -> socket.socket:
        """Return a stream to a new SSH server of ours in the machine."""
        if self._stopped:
            raise BackendFailure(f"the target {self.name} has ended")
        return self._way.open(self._entry.held["server"], self._heard)

    def overheard(self) -> tuple[str, ...]:
        """Return what ssh and the servers behind it said last."""
        return tuple(self._heard)

    def cut_network(self) -> None:
        """Take the network away for good, or end the target."""
        try:
            if self._cut is not None:
                self._cut()
        except GbuildError:
            self.stop()  # better no machine than one with a forbidden network
            raise

    def alive(self) -> bool:
        """Say whether the machine runs."""
        if self._stopped:
            return False
        found = self._manage.find(self.uuid)
        return found is not None and found.state == "running"

    def stop(self) -> None:
        """Switch the machine off; a clone goes, a person's machine is reset at the next start."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            end(self._manage, self._entry, self._registry)


def end(manage: Manage, entry: Entry, registry: Registry) -> None:
    """End a target and forget it: a clone is removed with its files, its entry goes last.

    Raises:
        BackendFailure: its machine does not go off.
    """
    if _ours(entry):
        unregister(manage, entry.held["machine"][0])
        for folder in entry.held["folder"]:
            shutil.rmtree(folder, ignore_errors=True)
    else:
        release(manage, entry)
    registry.remove(entry.id)


def _ours(entry: Entry) -> bool:
    """Say whether a target's machine is a clone, which has a folder in the store."""
    return "folder" in entry.held


def release(manage: Manage, entry: Entry) -> bool:
    """Switch off the machine of a target if it is still that target's; say whether it was.

    Raises:
        BackendFailure: it does not go off.
    """
    uuid = entry.held["machine"][0]
    try:
        if manage.label(uuid)[0] != entry.id:
            return False
    except Refused as error:
        if error.code == NOT_FOUND:
            return False
        raise
    power_off(manage, uuid)
    manage.clear_label(uuid)
    return True


def power_off(manage: Manage, uuid: str) -> None:
    """Switch a machine off; returns when no process has it any more.

    Raises:
        BackendFailure: it does not go off.
    """
    until = time.monotonic() + _PATIENCE
    while (found := manage.info(uuid)).busy:
        if found.state in ("running", "paused", "stuck"):
            with suppress(Refused):  # it ended meanwhile, or is on its way
                manage.ask("controlvm", uuid, "poweroff")
        if time.monotonic() > until:
            raise BackendFailure(
                f"the machine {found.name} does not go off (it is {found.state})",
                hint=f"VBoxManage startvm {uuid} --type emergencystop",
            )
        time.sleep(_PAUSE)


def unregister(manage: Manage, uuid: str) -> bool:
    """Remove one of our machines, running or not, with its disks; say whether there was one.

    Raises:
        BackendFailure: it does not go off, or stays.
    """
    found = manage.find(uuid)
    if found is None:
        return False
    if found.busy:
        power_off(manage, uuid)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            manage.ask("unregistervm", uuid, "--delete")
        except Refused as error:
            if error.code == NOT_FOUND:
                return True  # somebody else was quicker
            if error.code != LOCKED:
                manage.ask("unregistervm", uuid)  # files of it are gone: let the name go, too
                return True
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)  # the process that ran it lets go of it only now
        else:
            return True
