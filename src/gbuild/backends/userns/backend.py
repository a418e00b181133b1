"""The default backend: user namespaces of this host; no daemon, no root, no bridge, no port."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from gbuild.host import cgroup, uplink
from gbuild.host.sandbox import machine as sandbox
from gbuild.host.store import Store
from gbuild.image.copies import Copies, Trees, facts, layout, warn
from gbuild.model.event import Sink
from gbuild.model.image import Image
from gbuild.model.names import target_name
from gbuild.target import capable, keeper, limits
from gbuild.target.backend import Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.contained import AttachedMachine, ContainedMachine
from gbuild.target.registry import Entry, Registry, new_id

NAME = "userns"


class UsernsBackend(keeper.Keepable):
    """Targets in user namespaces, over images unpacked into the store."""

    name = NAME
    summary = "user namespaces of this host: no daemon, no root"
    needs = "uidmap (as a user), passt (for network)"
    varies = frozenset({"ids", "home", "processors", "clock", "personality"})

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
        return capable.findings(self.environment, self.store.root)

    def hurry(self) -> None:
        """Begin to check the tree of the image that is likely to be used."""
        self._copies.hurry()

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
        """Remove entries, scratch folders and control groups of the dead."""
        dead = [entry for entry in self._registry.entries() if not entry.alive()]
        groups: list[str] = []
        for entry in dead:
            groups += cgroup.remove_dead(entry.held.get("groups", ()))
            self._registry.remove(entry.id)
        self._registry.sweep()
        folders = self._registry.abandoned_scratch()
        for folder in folders:
            self._copies.remove_scratch(folder)
        groups += cgroup.remove_leftovers(cgroup.places())
        return (*(f"target {e.name}" for e in dead), *(str(f) for f in folders), *groups)

    def launch(self, spec: TargetSpec, *, detached: bool) -> ContainedMachine:
        """Start a target in this process and write it down."""
        # slow to load: meanwhile another process checks the image's tree
        from gbuild.target.guest import DAEMON, Guest, new_key

        idmap = self._copies.idmap
        identity = new_id(target_name(spec.name, where="the target's name"))
        resolver, options = uplink.resolver() if spec.network else ("", ())
        inside = Guest(
            user=spec.user,
            host=new_key(),
            client=new_key(),
            hostname=spec.hostname,
            number=spec.number,
            home=spec.home,
            sudo=spec.sudo,
            resolver=resolver,
        )
        with ExitStack() as undo:
            tree = undo.enter_context(self._copies.tree(spec.image))
            held = limits.hold(identity, spec.limits, on_tmpfs=spec.scratch == "tmpfs")
            undo.callback(held.group.remove)
            root = self._copies.overlay(spec, tree, identity, undo)
            box = sandbox.start(
                sandbox.SandboxSpec(
                    layout=layout(spec, root, held, inside),
                    idmap=idmap,
                    daemon=DAEMON,
                    i386="i386" in (spec.image.environment.arch, *spec.image.environment.foreign),
                    clocks=sandbox.clocks_of(spec.extras),
                ),
                enter=held.group.add,
            )
            undo.callback(box.end)
            link = uplink.Uplink(box.pid, options) if spec.network else None
            entry = Entry.begun(
                identity,
                spec.name,
                inside,
                detached=detached,
                facts=facts(NAME, spec, idmap, held, network="pasta"),
                held={"groups": [str(folder) for folder in held.group.folders]},
            )
            self._registry.add(entry)
            undo.callback(self._registry.remove, entry.id)
            warn(spec, held, self.sink)
            return ContainedMachine(entry, box, undo.pop_all(), link)
