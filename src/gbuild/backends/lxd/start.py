"""Making one target: an instance from the image's fingerprint, checked and set up inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from gbuild.backends.lxd import inside, instance, place
from gbuild.backends.lxd.bases import Bases
from gbuild.backends.lxd.daemon import Daemon
from gbuild.backends.lxd.execute import Program
from gbuild.backends.lxd.machine import LxdMachine, remove
from gbuild.backends.lxd.place import Pool
from gbuild.errors import BackendFailure
from gbuild.host.memory import meminfo
from gbuild.image.unified import Unified
from gbuild.model.event import Sink
from gbuild.model.image import Image
from gbuild.model.names import target_name
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import Guest, archive
from gbuild.target.registry import Entry, Registry, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts targets on one server."""

    daemon: Daemon
    bases: Bases
    registry: Registry
    options: Mapping[str, str]
    sink: Sink

    def start(
        self, spec: TargetSpec, image: Unified, *, detached: bool, first: bool
    ) -> tuple[LxdMachine, Entry, instance.Shape]:
        """Start a target, the ``first`` of its image or not; if it fails, nothing of it is left."""
        shape = self._shape(spec, image)
        source = self.source(spec.image, image, shape.pool)
        check = _check(source, first=first)
        name = instance.instance_name(spec.name)
        guest = _guest(spec, shape)
        entry = self._entry(spec, name, guest, shape)
        with ExitStack() as undo:
            self.registry.add(entry)
            undo.callback(self.registry.remove, entry.id)
            undo.callback(remove, self.daemon, name)
            self._create(spec, entry, name, source, shape)
            doing = f"start {spec.name}"
            order = {"action": "start", "timeout": 60}
            self.daemon.ask("put", ("instances", name, "state"), doing=doing, json=order)
            lifeline, read = self._complete(name, guest, image, detached=detached, check=check)
            if not spec.network and read.interfaces != {"lo"}:
                raise BackendFailure(f"{spec.name} was given a network that nobody asked for")
            facts = {**entry.facts, **self._read(spec, name, image, check, read)}
            entry = replace(entry, facts=facts, detached=detached)
            self.registry.add(entry)
            undo.pop_all()
            machine = LxdMachine(
                entry,
                self.daemon,
                forget=lambda: self.registry.remove(entry.id),
                lifeline=lifeline,
            )
            return machine, entry, shape

    def source(self, image: Image, wanted: Unified, pool: Pool) -> Mapping[str, str]:
        """Return what to make a target from; a base of the image is made if there is none."""
        member = place.member(self.daemon, self.options)
        return self.bases.source(image, wanted, pool, member, self.sink)

    def _shape(self, spec: TargetSpec, image: Unified) -> instance.Shape:
        nic = None
        if spec.network:
            nic = place.nic(self.daemon, place.network(self.daemon, self.options))
        return instance.Shape(
            flavour=self.daemon.flavour,
            pool=place.pool(self.daemon, self.options),
            image_size=image.size,
            scratch=spec.limits.disk or self._half_of_memory(),
            nic=nic,
        )

    def _half_of_memory(self) -> int:
        if not self.daemon.address.remote:
            return meminfo()["MemTotal"] // 2
        found = self.daemon.get("resources", doing="look at its memory")
        return int(found["memory"]["total"]) // 2

    def _create(
        self,
        spec: TargetSpec,
        entry: Entry,
        name: str,
        source: Mapping[str, str],
        shape: instance.Shape,
    ) -> None:
        config = instance.configuration(spec, shape)
        config |= instance.labels(self.bases.mark, entry.id, spec.name)
        target = self.options.get("target")
        self.daemon.ask(
            "post",
            ("instances",),
            doing=f"make an instance for {spec.name}",
            params={"target": target} if target else None,
            json=instance.body(name, source, config, instance.devices(spec, shape)),
        )

    def _complete(
        self, name: str, guest: Guest, image: Unified, *, detached: bool, check: inside.Check
    ) -> tuple[Program | None, _Read]:
        """Run the set-up in the instance; return it if it stays, and what was read."""
        data = archive(guest)
        command = inside.setup(check=check, archive=len(data), stay=not detached)
        program = Program(self.daemon, name, command)
        try:
            program.stdin.send(data)
            read = _Read.of(program.wait_for(inside.READY))
            inside.compare(name, image, check, read.tree)
        except BaseException:
            program.shut()
            program.close()
            raise
        if detached:
            program.shut()
            program.close()
            return None, read
        return program, read

    def _entry(self, spec: TargetSpec, name: str, guest: Guest, shape: instance.Shape) -> Entry:
        """Return the entry of a target that is being made: until it is whole it is ours alone."""
        mine = {**self.options, **self.daemon.address.proofs}  # good in any folder
        options = [f"{key}={value}" for key, value in sorted(mine.items())]
        return Entry.begun(
            new_id(target_name(spec.name, where="the target's name")),
            spec.name,
            guest,
            facts=instance.facts(spec, shape),
            held={
                "instance": [name],
                "image": [spec.image.key],
                "server": [self.daemon.address.endpoint, self.daemon.address.project],
                "options": options,
            },
        )

    def _read(
        self, spec: TargetSpec, name: str, image: Unified, check: str, read: _Read
    ) -> dict[str, str]:
        """Return the facts that only the running instance knows."""
        found = self.daemon.get("instances", name, doing=f"look at {name}")
        config = found.get("config") or {}
        base = config.get("volatile.base_image", "")
        if base != image.fingerprint:
            raise BackendFailure(
                f"{name} was made from another image",
                details=(f"asked for {image.fingerprint}", f"made from {base}"),
            )
        return {
            "server": f"{self.daemon.flavour} {self.daemon.version}",
            "users": _users(config),
            "open_files": _files(spec, read),
            "image": base,
            "image_tree": f"{check} {read.tree}",
            **({"member": str(found["location"])} if self.daemon.clustered else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the set-up said: the tree's digest, and the network interfaces there are."""

    tree: str
    files: str
    interfaces: frozenset[str]

    @classmethod
    def of(cls, said: bytes) -> _Read:
        lines = said.decode(errors="replace").splitlines()
        words = dict(line.split()[:2] for line in lines if line.startswith(("tree ", "files ")))
        names = [line.partition(":")[0].strip() for line in lines if ":" in line]
        return cls(
            tree=words.get("tree", ""), files=words.get("files", ""), interfaces=frozenset(names)
        )


def _check(source: Mapping[str, str], *, first: bool) -> inside.Check:
    """Say how much to read again: of a base every byte was read when it was made."""
    if source["type"] == "image":
        return "full" if first else "list"
    return "list" if first else "sample"


def _files(spec: TargetSpec, read: _Read) -> str:
    """Return how many files a process may open: what was asked for, or what the server may."""
    wished = spec.limits.open_files
    if wished is None or not read.files.isdecimal():
        return read.files
    return str(min(wished, int(read.files)))


def _guest(spec: TargetSpec, shape: instance.Shape) -> Guest:
    return Guest.of(spec, resolver="" if shape.nic is None else f"nameserver {shape.nic.gateway}\n")


def _users(config: Mapping[str, Any]) -> str:
    """Return the first user of the map and how many there are."""
    for key in ("volatile.idmap.current", "volatile.idmap.next"):
        for one in json.loads(config.get(key) or "[]"):
            if one.get("Isuid", one.get("IsUID")):
                first = one.get("Hostid", one.get("HostID"))
                return f"{first}+{one.get('Maprange', one.get('MapRange'))}"
    return "unknown"
