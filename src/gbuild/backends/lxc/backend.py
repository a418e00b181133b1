"""Containers by the liblxc tools: no daemon; as root with a bridge of our own, or as a person."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import ClassVar

from gbuild.backends.lxc import box, bridge, probe, ways
from gbuild.host import cgroup
from gbuild.host.sandbox.machine import clocks_of
from gbuild.host.store import Store
from gbuild.image.copies import Copies, Trees, facts, layout, warn
from gbuild.model.event import Sink
from gbuild.model.image import Image
from gbuild.model.names import target_name
from gbuild.target import keeper, limits
from gbuild.target.backend import Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.contained import AttachedMachine, ContainedMachine
from gbuild.target.guest import Guest, new_key
from gbuild.target.registry import Entry, Registry, new_id

NAME = "lxc"


class LxcBackend(keeper.Keepable):
    """Targets as LXC containers, over images unpacked into the store."""

    name = NAME
    summary = "LXC containers by lxc-start: no daemon"
    needs = "lxc; root for a bridge, uidmap and passt as a user"
    varies = frozenset({"ids", "home", "processors", "clock", "personality"})
    settings: ClassVar[Mapping[str, str]] = {
        "network": "how a target with a network reaches it: bridge (root's default) or pasta"
    }

    def __init__(
        self,
        *,
        store: Store,
        environment: Mapping[str, str],
        sink: Sink,
        options: Mapping[str, str] | None = None,
        trees: Trees | None = None,
    ) -> None:
        """``trees`` replaces the store's unpacked images."""
        super().__init__(store=store, environment=environment, sink=sink, options=options)
        self._registry = Registry(store, NAME)
        self._copies = Copies(
            store=store,
            environment=environment,
            sink=sink,
            scratch=self._registry.scratch,
            trees=trees,
        )

    def probe(self) -> tuple[Finding, ...]:
        """Make namespaces and mounts for a moment, and look at tools and settings."""
        return probe.findings(self.environment, self.store.root, ways.chosen(self.options))

    def prepare(self, image: Image) -> None:
        """Unpack the image into the store."""
        self._copies.prepare(image)

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that are unpacked for this person's users."""
        return self._copies.prepared()

    def discard(self, key: str) -> bool:
        """Remove an unpacked image."""
        return self._copies.discard(key)

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process."""
        return self.launch(spec, detached=False)

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target in a process of its own.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self._registry.check_free(spec.name)
        self._copies.prepare(spec.image, elsewhere=True)
        keeper.spawn(self, spec, trees=self._copies.trees)
        return self._registry.detached(spec.name).info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target through the process that keeps it."""
        return AttachedMachine(self._registry.detached(name), self._registry)

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows."""
        return self._registry.infos()

    def prune(self) -> tuple[str, ...]:
        """Remove what the dead held: control groups, bridges, scratch folders, entries."""
        removed: list[str] = []
        for entry in self._registry.entries():
            if not entry.alive():
                removed += (f"target {entry.name}", *_release(entry))
                self._registry.remove(entry.id)
        self._registry.sweep()
        for folder in self._registry.abandoned_scratch():
            self._copies.remove_scratch(folder)
            removed.append(str(folder))
        return tuple(removed)

    def launch(self, spec: TargetSpec, *, detached: bool) -> ContainedMachine:
        """Start a target in this process; it is written down before anything is made for it."""
        way = ways.find(self.options, wanted=spec.network)
        identity = new_id(target_name(spec.name, where="the target's name"))
        token = identity.rpartition("~")[2]
        inside = Guest(
            user=spec.user,
            number=spec.number,
            home=spec.home,
            host=new_key(),
            client=new_key(),
            hostname=spec.hostname,
            sudo=spec.sudo,
            resolver=way.resolver,
        )
        with ExitStack() as undo:
            tree = undo.enter_context(self._copies.tree(spec.image))
            entry = Entry.begun(
                identity,
                spec.name,
                inside,
                detached=detached,
                held={"groups": _groups(identity), **way.held(token)},
            )
            self._registry.add(entry)
            undo.callback(self._registry.remove, identity)
            undo.callback(_release, entry)
            held = limits.hold(identity, spec.limits, on_tmpfs=spec.scratch == "tmpfs")
            root = self._copies.overlay(spec, tree, identity, undo)
            sandbox, pid = box.start(
                box.BoxSpec(
                    token=token,
                    groups=_group(identity),
                    layout=layout(spec, root, held, inside),
                    idmap=self._copies.idmap,
                    i386="i386" in (spec.image.environment.arch, *spec.image.environment.foreign),
                    clocks=clocks_of(spec.extras),
                ),
                held.group,
            )
            undo.callback(sandbox.end)
            link = way.join(token, pid)
            told = facts(NAME, spec, self._copies.idmap, held, network=way.name)
            entry = replace(entry, facts=told)
            self._registry.add(entry)
            warn(spec, held, self.sink)
            return ContainedMachine(entry, sandbox, undo.pop_all(), link, inside=pid)


def _group(identity: str) -> str:
    return f"{cgroup.PREFIX}{identity}"


def _groups(identity: str) -> tuple[str, ...]:
    """Name every control group that we or liblxc may make for a target."""
    names = (_group(identity), *(f"{_group(identity)}.{part}" for part in ("monitor", "pivot")))
    return tuple(str(folder / name) for folder in cgroup.hierarchies() for name in names)


def _release(entry: Entry) -> tuple[str, ...]:
    """Remove what a dead target held on this host; return what there was."""
    groups = cgroup.remove_dead(entry.held.get("groups", ()))
    return (*groups, *bridge.remove(entry.held.get("bridges", ())))
