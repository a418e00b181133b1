"""Bases: what makes starts quick where a storage pool copies on write.

A container's files must belong to its users, and LXD 5.0 changes the owners of a whole image at
the first start of each instance. So an instance is made from the image once, started once, and
kept stopped, with a snapshot called ``ready``; targets are copies of that snapshot, which share
its blocks and its owners. The snapshot comes last: a base without one was never finished.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import Any

from gbuild.backends.lxd import instance
from gbuild.backends.lxd.daemon import Daemon, NotThere
from gbuild.backends.lxd.execute import Program
from gbuild.backends.lxd.inside import READY, compare, setup
from gbuild.backends.lxd.machine import remove
from gbuild.backends.lxd.place import Pool
from gbuild.errors import BackendFailure, Busy
from gbuild.host.store import Store
from gbuild.image.unified import Unified
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image

_SNAPSHOT = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """The bases that one store has on one server; ``mark`` is the store's id there."""

    daemon: Daemon
    store: Store
    mark: str

    def source(
        self, image: Image, wanted: Unified, pool: Pool, member: str, sink: Sink
    ) -> dict[str, str]:
        """Return what to make a target from, as the API's ``source``.

        That is the image itself where a copy would not be quicker: on pools that copy every
        byte, on Incus (which maps owners while it mounts), and where the cluster is to choose the
        member, for a base lies on one.
        """
        whole = {"type": "image", "fingerprint": wanted.fingerprint}
        placed = bool(member) or not self.daemon.clustered
        if self.daemon.flavour == "incus" or not pool.copies_on_write or not placed:
            return whole
        name = self._name(wanted, pool, member)
        if not self._ready(name):
            with self.store.lock(_lock(image.key)):
                if not self._ready(name):
                    label = image.environment.label
                    sink(Event("step", f"preparing quick starts of {label}", {"job": label}))
                    self._make(name, image.key, wanted, pool, member)
        return {"type": "copy", "source": f"{name}/{_SNAPSHOT}"}

    def discard(self, key: str) -> bool:
        """Remove the bases of an image; say whether there was one.

        Raises:
            Busy: somebody makes one now.
        """
        with self.store.lock(_lock(key), wait=0):
            mine = [base for base in self._mine() if base["config"][instance.BASE] == key]
            for base in mine:
                remove(self.daemon, str(base["name"]))
        return bool(mine)

    def prune(self, keys: frozenset[str]) -> tuple[str, ...]:
        """Remove unfinished bases, and those of images other than ``keys``; return their names."""
        return tuple(
            f"base {base['name']}"
            for base in self._mine()
            if self._useless(base, keys) and remove(self.daemon, str(base["name"]))
        )

    def _useless(self, base: dict[str, Any], keys: frozenset[str]) -> bool:
        key = str(base["config"][instance.BASE])
        if key in keys and self._ready(str(base["name"])):
            return False
        try:
            with self.store.lock(_lock(key), wait=0):
                return key not in keys or not self._ready(str(base["name"]))
        except Busy:
            return False  # somebody makes it now

    def labelled(self) -> list[dict[str, Any]]:
        """Return every instance with our label, as far as members are in reach."""
        every = self.daemon.get("instances", recursion=1, doing="list instances")
        return [one for one in every if (one.get("config") or {}).get(instance.STORE) == self.mark]

    def _mine(self) -> list[dict[str, Any]]:
        return [one for one in self.labelled() if is_base(one["config"])]

    def _name(self, wanted: Unified, pool: Pool, member: str) -> str:
        words = f"{self.mark} {wanted.fingerprint} {pool.name} {member}"
        return f"gbuild-base-{hashlib.sha256(words.encode()).hexdigest()[:16]}"

    def _ready(self, name: str) -> bool:
        doing = "look for a base"
        try:
            self.daemon.get("instances", name, "snapshots", _SNAPSHOT, doing=doing)
        except NotThere:
            return False
        return True

    def _make(self, name: str, key: str, wanted: Unified, pool: Pool, member: str) -> None:
        """Make a base anew, or leave nothing of it."""
        remove(self.daemon, name)
        with contextlib.ExitStack() as undo:
            undo.callback(self._give_up, name)
            self._fill(name, key, wanted, pool, member)
            undo.pop_all()

    def _give_up(self, name: str) -> None:
        with contextlib.suppress(BackendFailure):  # the first error is told; prune tries again
            remove(self.daemon, name)

    def _fill(self, name: str, key: str, wanted: Unified, pool: Pool, member: str) -> None:
        """Make a base: its start changes the owners; then every byte is read again."""
        doing = "make a base for quick starts"
        path = ("instances", name)
        labelled = {instance.STORE: self.mark, instance.BASE: key}
        source = {"type": "image", "fingerprint": wanted.fingerprint}
        self.daemon.ask(
            "post",
            path[:1],
            doing=doing,
            params={"target": member} if member else None,
            json=instance.base(name, source, labelled, pool),
        )
        order: dict[str, Any] = {"action": "start", "timeout": 60}
        self.daemon.ask("put", (*path, "state"), doing=doing, json=order)
        self._check(name, wanted)
        order = {"action": "stop", "timeout": 60, "force": True}
        self.daemon.ask("put", (*path, "state"), doing=doing, json=order)
        order = {"name": _SNAPSHOT, "stateful": False}
        self.daemon.ask("post", (*path, "snapshots"), doing=doing, json=order)

    def _check(self, name: str, wanted: Unified) -> None:
        """Read every byte of the tree again in the running base."""
        program = Program(self.daemon, name, setup(check="full", archive=0, stay=False))
        with contextlib.closing(program):
            said = program.wait_for(READY).decode(errors="replace")
        read = next((x.split()[1] for x in said.splitlines() if x.startswith("tree ")), "")
        compare(name, wanted, "full", read)


def is_base(config: dict[str, str]) -> bool:
    """Tell a base from a target, which inherits a base's labels."""
    return instance.BASE in config and instance.ID not in config


def _lock(key: str) -> str:
    return f"lxd-base-{key}"
