"""Containers by the liblxc tools: no daemon; as root with a bridge of our own, or as a person."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import ClassVar

from gbuild.backends.lxc import box, bridge, probe, ways
from gbuild.host import cgroup
from gbuild.host.sandbox.machine import clocks_of
from gbuild.image.copies import facts, layout, warn
from gbuild.image.tree_backend import TreeBackend
from gbuild.model.names import target_name
from gbuild.target import limits
from gbuild.target.backend import Finding, TargetSpec
from gbuild.target.contained import ContainedMachine
from gbuild.target.guest import Guest
from gbuild.target.registry import Entry, new_id, token_of

NAME = "lxc"


class LxcBackend(TreeBackend):
    """Targets as LXC containers, over images unpacked into the store."""

    name = NAME
    summary = "LXC containers by lxc-start: no daemon"
    needs = "lxc; root for a bridge, uidmap and passt as a user"
    varies = frozenset(
        {"ids", "home", "processors", "clock", "personality", "addresses", "scratch"}
    )
    settings: ClassVar[Mapping[str, str]] = {
        "network": "how a target with a network reaches it: bridge (root's default) or pasta"
    }

    def probe(self) -> tuple[Finding, ...]:
        """Make namespaces and mounts for a moment, and look at tools and settings."""
        return probe.findings(self.environment, self.store.root, ways.chosen(self.options))

    def launch(self, spec: TargetSpec, *, detached: bool) -> ContainedMachine:
        """Start a target in this process; it is written down before anything is made for it."""
        way = ways.find(self.options, wanted=spec.network)
        identity = new_id(target_name(spec.name, where="the target's name"))
        token = token_of(identity)
        inside = Guest.of(spec, resolver=way.resolver)
        with ExitStack() as undo:
            tree = undo.enter_context(self.copies.tree(spec.image))
            entry = Entry.begun(
                identity,
                spec.name,
                inside,
                detached=detached,
                held={"groups": _groups(identity), **way.held(token)},
            )
            self.registry.add(entry)
            undo.callback(self.registry.remove, identity)
            undo.callback(self.release, entry)
            held = limits.hold(identity, spec.limits, on_tmpfs=spec.scratch == "tmpfs")
            root = self.copies.overlay(spec, tree, identity, undo)
            sandbox, pid = box.start(
                box.BoxSpec(
                    token=token,
                    groups=_group(identity),
                    layout=layout(spec, root, held, inside),
                    idmap=self.copies.idmap,
                    i386="i386" in (spec.image.environment.arch, *spec.image.environment.foreign),
                    clocks=clocks_of(spec.extras),
                ),
                held.group,
            )
            undo.callback(sandbox.end)
            link = way.join(token, pid)
            told = facts(NAME, spec, self.copies.idmap, held, network=way.name)
            entry = replace(entry, facts=told)
            self.registry.add(entry)
            warn(spec, held, self.sink)
            return ContainedMachine(entry, sandbox, undo.pop_all(), link, inside=pid)

    def sweep(self) -> tuple[str, ...]:
        """Remove nothing: every target is written down before anything is made for it."""
        return ()

    def release(self, entry: Entry) -> tuple[str, ...]:
        """Remove what a dead target held on this host: its bridge, too."""
        return (*super().release(entry), *bridge.remove(entry.held.get("bridges", ())))


def _group(identity: str) -> str:
    return f"{cgroup.PREFIX}{identity}"


def _groups(identity: str) -> tuple[str, ...]:
    """Name every control group that we or liblxc may make for a target."""
    names = (_group(identity), *(f"{_group(identity)}.{part}" for part in ("monitor", "pivot")))
    return tuple(str(folder / name) for folder in cgroup.hierarchies() for name in names)
