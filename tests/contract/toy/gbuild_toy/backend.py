"""Targets in user namespaces that give way to everything else on this host: nice(2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import ClassVar

from gbuild.errors import UsageFailure
from gbuild.host import uplink
from gbuild.host.sandbox import machine as sandbox
from gbuild.image.copies import facts, layout, warn
from gbuild.image.tree_backend import TreeBackend
from gbuild.model.names import target_name
from gbuild.target import capable, limits
from gbuild.target.backend import Finding, TargetSpec
from gbuild.target.contained import ContainedMachine
from gbuild.target.guest import DAEMON, Guest
from gbuild.target.registry import Entry, new_id

NAME = "toy"
_LOWEST = 19


class ToyBackend(TreeBackend):
    """Targets at a low priority, over images unpacked into the store."""

    name = NAME
    summary = "a toy: user namespaces at a low priority"
    needs = "uidmap (as a user), passt (for network)"
    settings: ClassVar[Mapping[str, str]] = {"nice": "how low, 0 to 19 (10)"}

    @property
    def _nice(self) -> int:
        text = self.options.get("nice", "10")
        if not text.isascii() or not text.isdigit() or int(text) > _LOWEST:
            raise UsageFailure(f"nice is a number from 0 to {_LOWEST}, not {text!r}")
        return int(text)

    def probe(self) -> tuple[Finding, ...]:
        """Make namespaces and mounts for a moment, and look at tools and settings."""
        return capable.findings(self.environment, self.store.root)

    def launch(self, spec: TargetSpec, *, detached: bool) -> ContainedMachine:
        """Start a target in this process and write it down."""
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
                    layout=layout(spec, root, held, inside),
                    idmap=idmap,
                    daemon=DAEMON,
                    i386="i386" in (spec.image.environment.arch, *spec.image.environment.foreign),
                    clocks=sandbox.clocks_of(spec.extras),
                ),
                enter=lambda pid: self._enter(held, pid),
            )
            undo.callback(box.end)
            link = uplink.Uplink(box.pid, options) if spec.network else None
            entry = Entry.begun(
                identity,
                spec.name,
                inside,
                detached=detached,
                facts={**facts(NAME, spec, idmap, held, network="pasta"), "nice": str(self._nice)},
                held={"groups": [str(folder) for folder in held.group.folders]},
            )
            self.registry.add(entry)
            undo.callback(self.registry.remove, entry.id)
            warn(spec, held, self.sink)
            return ContainedMachine(entry, box, undo.pop_all(), link)

    def _enter(self, held: limits.Held, pid: int) -> None:
        """Limit the first process of the target before it runs anything."""
        held.group.add(pid)
        os.setpriority(os.PRIO_PROCESS, pid, self._nice)
