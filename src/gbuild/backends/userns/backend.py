"""The default backend: user namespaces of this host; no daemon, no root, no bridge, no port."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from gbuild.backends.userns import limits, network, probe
from gbuild.backends.userns.machine import AttachedMachine, UsernsMachine
from gbuild.errors import UsageFailure
from gbuild.host import cgroup
from gbuild.host.idmap import IdMap, current
from gbuild.host.sandbox import machine as sandbox
from gbuild.host.sandbox.layout import Layout, Overlay
from gbuild.host.store import Store
from gbuild.image import unpacked
from gbuild.image.prune import images
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.model.names import target_name
from gbuild.target.backend import Backend, Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.guest import DAEMON, Guest, new_key
from gbuild.target.registry import Entry, Registry, born, new_id

NAME = "userns"

Trees = Callable[[Image], AbstractContextManager[Path]]
"""Gives the unpacked tree of an image, held for as long as the context is open."""


@dataclass(frozen=True, slots=True)
class GivenTree:
    """Trees for one that somebody else keeps, whatever the image."""

    path: Path

    def __call__(self, _: Image) -> AbstractContextManager[Path]:
        """Return the tree."""
        return nullcontext(self.path)


class UsernsBackend(Backend):
    """Targets in user namespaces, over images unpacked into the store."""

    name = NAME
    summary = "user namespaces of this host: no daemon, no root"
    needs = "uidmap (as a user), passt (for network)"

    def __init__(
        self,
        *,
        store: Store,
        environment: Mapping[str, str],
        sink: Sink,
        options: Mapping[str, str] | None = None,
        trees: Trees | None = None,
    ) -> None:
        """``trees`` replaces the store's unpacked images; there are no options."""
        super().__init__(store=store, environment=environment, sink=sink, options=options)
        self._trees = trees
        self._registry = Registry(store, NAME)
        self._checked: set[str] = set()

    def probe(self) -> tuple[Finding, ...]:
        """Make namespaces and mounts for a moment, and look at tools and settings."""
        return probe.findings(self.environment, self.store.root)

    def prepare(self, image: Image) -> None:
        """Unpack the image into the store."""
        if self._trees is None:
            idmap = current(self.environment)
            unpacked.prepare(image, store=self.store, idmap=idmap, sink=self.sink)

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that are unpacked for this person's users."""
        label = current(self.environment).label
        return tuple(
            Prepared(
                key=one.key,
                label=one.label,
                place=str(self.store.root / "images" / one.key / label),
                used=one.used,
            )
            for one in images(self.store)
            if label in one.maps
        )

    def discard(self, key: str) -> bool:
        """Remove an unpacked image."""
        idmap = current(self.environment)
        return unpacked.discard(key, store=self.store, idmap=idmap)

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process."""
        return self.launch(spec, detached=False)

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target in a process of its own.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        from gbuild.backends.userns import keeper

        if any(e.name == spec.name and e.detached and e.alive() for e in self._registry.entries()):
            raise UsageFailure(f"a target called {spec.name} runs already", hint="gtarget list")
        self.prepare(spec.image)
        keeper.spawn(spec, self.store, self.environment, self._trees)
        return self._registry.detached(spec.name).info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target through the process that keeps it."""
        return AttachedMachine(self._registry.detached(name), self._registry)

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows."""
        return self._registry.infos()

    def prune(self) -> tuple[str, ...]:
        """Remove entries, scratch folders and control groups of the dead."""
        dead = [entry for entry in self._registry.entries() if not entry.alive()]
        groups: list[str] = []
        for entry in dead:
            groups += cgroup.remove_dead(entry.held.get("groups", ()))
            self._registry.remove(entry.id)
        folders = self._registry.abandoned_scratch()
        for folder in folders:
            self._remove_scratch(folder)
        groups += cgroup.remove_leftovers(cgroup.places())
        return (*(f"target {e.name}" for e in dead), *(str(f) for f in folders), *groups)

    def launch(self, spec: TargetSpec, *, detached: bool) -> UsernsMachine:
        """Start a target in this process and write it down."""
        idmap = current(self.environment)
        identity = new_id(target_name(spec.name, where="the target's name"))
        resolver, options = network.resolver() if spec.network else ("", ())
        inside = Guest(
            user=spec.user,
            host=new_key(),
            client=new_key(),
            hostname=spec.hostname,
            sudo=spec.sudo,
            resolver=resolver,
        )
        with ExitStack() as undo:
            tree = undo.enter_context(self._tree(spec.image, idmap))
            held = limits.hold(identity, spec.limits, on_tmpfs=spec.scratch == "tmpfs")
            undo.callback(held.group.remove)
            root = self._root(spec, tree, identity, undo)
            box = sandbox.start(
                sandbox.SandboxSpec(
                    layout=_layout(spec, root, held, inside),
                    idmap=idmap,
                    daemon=DAEMON,
                    i386="i386" in (spec.image.environment.arch, *spec.image.environment.foreign),
                    clocks=_clocks(spec.extras),
                ),
                enter=held.group.add,
            )
            undo.callback(box.end)
            uplink = network.Uplink(box.pid, options) if spec.network else None
            entry = Entry(
                id=identity,
                name=spec.name,
                pid=os.getpid(),
                born=born(os.getpid()),
                started=time.time(),
                detached=detached,
                user=spec.user,
                host_key=inside.host.public,
                client_key=inside.client.private,
                facts=_facts(spec, idmap, held),
                held={"groups": [str(folder) for folder in held.group.folders]},
            )
            self._registry.add(entry)
            undo.callback(self._registry.remove, entry.id)
            self._warn(spec, held)
            return UsernsMachine(entry, box, undo.pop_all(), uplink)

    @contextmanager
    def _tree(self, image: Image, idmap: IdMap) -> Iterator[Path]:
        """Hold the image's tree; it is checked at its first use in this process."""
        if self._trees is not None:
            with self._trees(image) as tree:
                yield tree
            return
        fresh = image.key not in self._checked
        with unpacked.tree(
            image, store=self.store, idmap=idmap, sink=self.sink, check=fresh
        ) as tree:
            self._checked.add(image.key)
            yield tree

    def _root(self, spec: TargetSpec, tree: Path, identity: str, undo: ExitStack) -> Overlay:
        limit = spec.limits
        if spec.scratch == "tmpfs":
            return Overlay(lower=tree, size=limits.scratch_size(limit), inodes=limit.inodes)
        idmap = current(self.environment)
        folder = self._registry.scratch / identity
        folder.mkdir(parents=True, mode=0o755)
        os.chown(folder, idmap.outside(0), idmap.gids[0][1])
        undo.callback(self._remove_scratch, folder)
        return Overlay(lower=tree, size=_NOTES, inodes=limit.inodes, disk=folder)

    def _remove_scratch(self, folder: Path) -> None:
        unpacked.remove_tree(folder.parent, folder.name, idmap=current(self.environment))

    def _warn(self, spec: TargetSpec, held: limits.Held) -> None:
        gaps = held.gaps
        if spec.scratch == "disk":
            gaps = (*gaps, "disk: unlimited")
        if gaps:
            text = f"limits that this host cannot hold for the target: {'; '.join(gaps)}"
            self.sink(Event("warning", text))


_NOTES = 256 << 20
"""Bytes of /run and /dev/shm when the rest is written to a disk."""


def _layout(spec: TargetSpec, root: Overlay, held: limits.Held, inside: Guest) -> Layout:
    return Layout(
        root=root,
        hostname=spec.hostname,
        sudo=spec.sudo,
        files=inside.files(),
        account=inside.account,
        resolver=inside.resolver,
        personality=int(spec.extras.get("personality", "0"), 0),
        processors=_processors(spec.extras) or held.processors,
        limits=held.resources,
    )


def _processors(extras: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(int(word) for word in extras.get("processors", "").split(",") if word)


def _clocks(extras: Mapping[str, str]) -> sandbox.Clocks | None:
    if not {"clock.monotonic", "clock.boot"} & extras.keys():
        return None
    return sandbox.Clocks(
        monotonic=int(extras.get("clock.monotonic", "0")), boot=int(extras.get("clock.boot", "0"))
    )


def _facts(spec: TargetSpec, idmap: IdMap, held: limits.Held) -> Mapping[str, str]:
    limit = spec.limits
    disk = "unlimited" if spec.scratch == "disk" else str(limits.scratch_size(limit))
    return {
        "backend": NAME,
        "users": idmap.label,
        "network": "pasta" if spec.network else "none",
        "sudo": str(spec.sudo).lower(),
        "scratch": spec.scratch,
        "disk": disk,
        "inodes": "unlimited" if limit.inodes is None else str(limit.inodes),
        **held.facts,
    }
