"""One start of a target made from an image: a linked clone, running, let in, made ready."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gbuild.backends.virtualbox import hardware, ports, room
from gbuild.backends.virtualbox.bases import SNAPSHOT, Base, Bases
from gbuild.backends.virtualbox.machine import VirtualBoxMachine, end
from gbuild.backends.virtualbox.manage import Manage
from gbuild.backends.virtualbox.start import NAME, patience_of, refuse
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure, GbuildError, TimedOut, UsageFailure
from gbuild.host.store import Store
from gbuild.image.disk import INODES, SIZE
from gbuild.model.event import Event, Sink
from gbuild.model.names import target_name
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import Guest
from gbuild.target.registry import Entry, Registry, new_id, token_of

CLONE = "gbuild-target-"
"""How the names of our clones begin."""

_MEMORY = 2048
_SMALLEST = 256
"""MiB that firmware, a kernel and an SSH server need."""

_MOST_PROCESSORS = 8
_TAIL = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Starts targets that are clones."""

    manage: Manage
    store: Store
    bases: Bases
    registry: Registry
    options: Mapping[str, str]
    sink: Sink

    def run(self, spec: TargetSpec, *, detached: bool) -> VirtualBoxMachine:
        """Start a target; whatever goes wrong, nothing of it is left.

        Raises:
            UsageFailure: what is asked for cannot be kept.
            BackendFailure, TimedOut: it did not start.
        """
        refuse(spec)
        _refuse_architecture(spec)
        patience = patience_of(self.options)
        memory = self._memory(spec)
        base = self.bases.make(spec.image)
        guest = Guest.of(spec)
        with ExitStack() as undo:
            entry = self._entry(spec, base, guest, memory, detached=detached)
            self.registry.add(entry)
            undo.callback(end, self.manage, entry, self.registry)
            self._clone(spec, base, entry)
            entry = self._own(spec, entry, memory)
            self._boot(spec, entry, guest, patience)
            undo.pop_all()
        self._warn(spec)
        return self.machine(entry)

    def machine(self, entry: Entry) -> VirtualBoxMachine:
        """Return the machine of a target that runs."""
        way = way_of(entry)
        cut = partial(room.cut, self.manage, entry.held["machine"][0], way)
        wanted = entry.facts["network"] != "none"
        return VirtualBoxMachine(
            entry, self.manage, way, self.registry, cut=cut if wanted else None
        )

    def _memory(self, spec: TargetSpec) -> int:
        given = self.options.get("memory") or str(_MEMORY)
        if not given.isdecimal():
            raise UsageFailure(f"memory={given} is not a number of MiB")
        asked = spec.limits.memory
        return max(asked >> 20 if asked else int(given), _SMALLEST)

    def _entry(
        self, spec: TargetSpec, base: Base, guest: Guest, memory: int, *, detached: bool
    ) -> Entry:
        identity = new_id(target_name(spec.name, where="the target's name"))
        token = token_of(identity)
        return Entry.begun(
            identity,
            spec.name,
            guest,
            detached=detached,
            facts=self._facts(spec, memory),
            held={
                "machine": [str(uuid.uuid4()), f"{CLONE}{token}"],
                "folder": [str(self.bases.root / "targets" / token)],
                "image": [spec.image.key],
                "door": ["0", str(base.key), str(base.known), base.alias],
                "server": room.server(spec),
            },
        )

    def _clone(self, spec: TargetSpec, base: Base, entry: Entry) -> None:
        own, name = entry.held["machine"]
        folder = Path(entry.held["folder"][0])
        folder.mkdir(parents=True, mode=0o700)
        with self.bases.lock(spec.image.key):
            self.manage.ask(*hardware.clone(base.uuid, SNAPSHOT, name, own, folder))
        self.manage.set_label(own, entry.id, str(self.store.root))

    def _own(self, spec: TargetSpec, entry: Entry, memory: int) -> Entry:
        """Give the clone a port that nobody has, and write that down before anybody may use it."""
        with self.store.lock("virtualbox-ports"):
            taken = {int(one.held["door"][0]) for one in self.registry.entries()}
            port = ports.free(taken)
            door = [str(port), *entry.held["door"][1:]]
            entry = replace(entry, held={**entry.held, "door": door})
            self.registry.add(entry)
        self.manage.ask(
            *hardware.own(
                entry.held["machine"][0],
                port=port,
                console=_console(entry),
                memory=memory,
                cpus=_processors(spec),
                network=spec.network,
                release=self.manage.release(),
            )
        )
        return entry

    def _boot(self, spec: TargetSpec, entry: Entry, guest: Guest, patience: float) -> None:
        own = entry.held["machine"][0]
        way = way_of(entry)
        try:
            self.manage.ask("startvm", own, "--type", "headless")
            way.wait(lambda: self.manage.info(own).state == "running", timeout=patience)
            room.prepare(way, spec, guest)
        except (BackendFailure, TimedOut) as error:
            raise _with_console(error, _console(entry)) from error

    def _facts(self, spec: TargetSpec, memory: int) -> Mapping[str, str]:
        limits = spec.limits
        each = f" ({limits.processes} of each user)" if limits.processes else ""
        processors = _processors(spec)
        return {
            "backend": NAME,
            "virtualbox": self.manage.version(),
            "network": "nat" if spec.network else "none",
            "sudo": str(spec.sudo).lower(),
            "scratch": "disk",
            "disk": str(limits.disk or SIZE),
            "inodes": str(INODES),
            "memory": str(memory << 20),
            "cpus": str(limits.cpus or f"unlimited ({processors} virtual)"),
            "processes": f"unlimited{each}",
        }

    def _warn(self, spec: TargetSpec) -> None:
        gaps = []
        if spec.limits.processes is not None:
            gaps.append("processes: counted for each user, not for the whole target")
        if spec.limits.inodes is not None and spec.limits.inodes < INODES:
            gaps.append(f"inodes: {INODES}")
        if gaps:
            text = f"limits that this backend cannot hold for the target: {'; '.join(gaps)}"
            self.sink(Event("warning", text))


def way_of(entry: Entry) -> Way:
    """Return the way into a target that is a clone."""
    port, key, known, alias = entry.held["door"]
    return Way(port=int(port), key=Path(key), known=Path(known), alias=alias, pinned=True)


def _refuse_architecture(spec: TargetSpec) -> None:
    arch = spec.image.environment.arch
    if arch not in ("amd64", "i386"):
        raise UsageFailure(
            f"the backend virtualbox starts amd64 and i386, not {arch}",
            hint="choose another: --backend userns on a host of that architecture",
        )


def _processors(spec: TargetSpec) -> int:
    return spec.limits.cpus or min(os.cpu_count() or 1, _MOST_PROCESSORS)


def _console(entry: Entry) -> Path:
    return Path(entry.held["folder"][0]) / "console.log"


def _with_console(error: GbuildError, console: Path) -> GbuildError:
    """Add what the machine said last on its serial port to an error."""
    if not console.is_file():
        return error
    tail = console.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()[-12:]
    said = tuple(f"console: {line}" for line in tail if line.strip())
    return error.retold(error.brief, details=(*error.details, *said))
