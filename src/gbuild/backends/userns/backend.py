"""The default backend: user namespaces of this host; no daemon, no root, no bridge, no port."""

from __future__ import annotations

from contextlib import ExitStack

from gbuild.host import uplink
from gbuild.host.sandbox import machine as sandbox
from gbuild.host.sandbox.layout import Disorder
from gbuild.image.copies import facts, layout, warn
from gbuild.image.tree_backend import TreeBackend
from gbuild.model.names import target_name
from gbuild.target import capable, limits
from gbuild.target.backend import Finding, TargetSpec
from gbuild.target.contained import ContainedMachine
from gbuild.target.registry import Entry, new_id

NAME = "userns"


class UsernsBackend(TreeBackend):
    """Targets in user namespaces, over images unpacked into the store."""

    name = NAME
    summary = "user namespaces of this host: no daemon, no root"
    needs = "uidmap (as a user), passt (for network)"
    varies = frozenset(
        {"ids", "home", "processors", "clock", "personality", "addresses", "scratch", "order"}
    )

    def probe(self) -> tuple[Finding, ...]:
        """Make namespaces and mounts for a moment, and look at tools and settings."""
        return capable.findings(self.environment, self.store.root)

    def _disorder(self, spec: TargetSpec) -> Disorder | None:
        """Return what gives folders in reverse order, where that is asked for."""
        folders = spec.extras.get("order.reversed")
        if not folders:
            return None
        from gbuild.host import disorder  # rarely needed

        return disorder.find(tuple(folders.split(":")), scratch=self.registry.scratch / "devices")

    def launch(self, spec: TargetSpec, *, detached: bool) -> ContainedMachine:
        """Start a target in this process and write it down."""
        # slow to load: meanwhile another process checks the image's tree
        from gbuild.target.guest import DAEMON, Guest

        idmap = self.copies.idmap
        identity = new_id(target_name(spec.name, where="the target's name"))
        resolver, options = uplink.resolver() if spec.network else ("", ())
        inside = Guest.of(spec, resolver=resolver)
        with ExitStack() as undo:
            tree = undo.enter_context(self.copies.tree(spec.image))
            held = limits.hold(identity, spec.limits, on_tmpfs=spec.scratch == "tmpfs")
            undo.callback(held.group.remove)
            root = self.copies.overlay(spec, tree, identity, undo)
            box = sandbox.start(
                sandbox.SandboxSpec(
                    layout=layout(spec, root, held, inside, self._disorder(spec)),
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
            self.registry.add(entry)
            undo.callback(self.registry.remove, entry.id)
            warn(spec, held, self.sink)
            return ContainedMachine(entry, box, undo.pop_all(), link)
