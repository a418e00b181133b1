"""A person's machine, running for one target, as the rest of gbuild sees it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from gbuild.backends.virtualbox import inside
from gbuild.backends.virtualbox.manage import NOT_FOUND, Manage, Refused
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure, GbuildError
from gbuild.target.backend import Machine
from gbuild.target.registry import Entry

_PATIENCE = 60.0
_PAUSE = 0.1


class VirtualBoxMachine(Machine):
    """A running machine.

    Args:
        entry: what the registry knows of it.
        manage: asks VirtualBox.
        way: root's way into it.
        cleanup: is called once it is off.
    """

    foreign = True

    def __init__(self, entry: Entry, manage: Manage, way: Way, cleanup: Callable[[], None]) -> None:
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts: Mapping[str, str] = entry.facts
        self._entry = entry
        self._manage = manage
        self._way = way
        self._cleanup = cleanup
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
        return self._way.open(self._entry.held["server"])

    def cut_network(self) -> None:
        """Take the network away for good, or end the target."""
        try:
            inside.cut(self._way)
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
        """Switch the machine off; what was written since its snapshot goes at the next start."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            release(self._manage, self._entry)
            self._cleanup()


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
