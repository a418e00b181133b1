"""Fresh copies of images for containers of this host: trees, overlays and what they look like.

What the backends userns and lxc share. An image's tree lies in the store once per map of users
(:mod:`gbuild.image.unpacked`); each target gets an overlay over it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from gbuild.host import processor
from gbuild.host.idmap import IdMap, current
from gbuild.host.sandbox.layout import Disorder, Layout, Overlay
from gbuild.host.store import Store
from gbuild.image import unpacked
from gbuild.image.prune import images
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target import limits
from gbuild.target.backend import Prepared, TargetSpec
from gbuild.target.guest import Guest

Trees = Callable[[Image], AbstractContextManager[Path]]
"""Gives the unpacked tree of an image, held for as long as the context is open."""

_NOTES = 256 << 20
"""Bytes of /run and /dev/shm when the rest is written to a disk."""


@dataclass(frozen=True, slots=True)
class GivenTree:
    """Trees for one that somebody else keeps, whatever the image."""

    path: Path

    def __call__(self, _: Image) -> AbstractContextManager[Path]:
        """Return the tree."""
        return nullcontext(self.path)


class Copies:
    """The trees of one store for whoever runs this.

    Args:
        scratch: where a target with ``scratch: disk`` gets a folder of its own.
        trees: replaces the store's unpacked images.
    """

    def __init__(
        self,
        *,
        store: Store,
        environment: Mapping[str, str],
        sink: Sink,
        scratch: Path,
        trees: Trees | None = None,
    ) -> None:
        self.trees = trees
        self._store = store
        self._environment = environment
        self._sink = sink
        self._scratch = scratch
        self._checked: set[str] = set()
        self._early: dict[str, unpacked.EarlyCheck] = {}

    @property
    def idmap(self) -> IdMap:
        """The map of users of every copy."""
        return current(self._environment)

    def prepare(self, image: Image, *, elsewhere: bool = False) -> None:
        """Unpack the image into the store, or begin to check what was unpacked before.

        ``elsewhere``: the target will be started by another process, which checks for itself.

        Raises:
            HostFailure: its programs do not run on this host.
        """
        if self.trees is not None:
            return
        processor.check_runs(image.environment.arch)
        known = unpacked.prepare(image, store=self._store, idmap=self.idmap, sink=self._sink)
        if known and not elsewhere and image.key not in self._checked:
            self._begin(image.key, image.sha256)

    def hurry(self) -> None:
        """Begin to check the image that was used last: most builds use it again."""
        label = self.idmap.label
        last = next((one for one in reversed(images(self._store)) if label in one.maps), None)
        if self.trees is None and last is not None:
            self._begin(last.key, last.sha256)

    def _begin(self, key: str, sha256: str) -> None:
        if key not in self._early:
            check = unpacked.EarlyCheck(key, sha256, store=self._store, idmap=self.idmap)
            self._early[key] = check

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that are unpacked for this person's users."""
        label = self.idmap.label
        return tuple(
            Prepared(
                key=one.key,
                label=one.label,
                place=str(self._store.root / "images" / one.key / label),
                used=one.used,
            )
            for one in images(self._store)
            if label in one.maps
        )

    def discard(self, key: str) -> bool:
        """Remove an unpacked image; say whether there was one.

        Raises:
            Busy: a target uses it.
        """
        return unpacked.discard(key, store=self._store, idmap=self.idmap)

    @contextmanager
    def tree(self, image: Image) -> Iterator[Path]:
        """Hold the image's tree; it is checked at its first use in this process.

        Raises:
            HostFailure: its programs do not run on this host.
        """
        if self.trees is not None:
            with self.trees(image) as tree:
                yield tree
            return
        processor.check_runs(image.environment.arch)
        early = self._early.get(image.key)
        fresh = image.key not in self._checked and not (early and early.passed(image))
        with unpacked.tree(
            image, store=self._store, idmap=self.idmap, sink=self._sink, check=fresh
        ) as tree:
            self._checked.add(image.key)
            yield tree

    def overlay(self, spec: TargetSpec, tree: Path, identity: str, undo: ExitStack) -> Overlay:
        """Return where a target writes; ``undo`` is given what removes it."""
        limit = spec.limits
        if spec.scratch == "tmpfs":
            return Overlay(lower=tree, size=limits.scratch_size(limit), inodes=limit.inodes)
        folder = self._scratch / identity
        folder.mkdir(parents=True, mode=0o755)
        os.chown(folder, self.idmap.outside(0), self.idmap.gids[0][1])
        undo.callback(self.remove_scratch, folder)
        return Overlay(lower=tree, size=_NOTES, inodes=limit.inodes, disk=folder)

    def remove_scratch(self, folder: Path) -> None:
        """Remove a folder that :meth:`overlay` made."""
        unpacked.remove_tree(folder.parent, folder.name, idmap=self.idmap)


def layout(
    spec: TargetSpec,
    root: Overlay,
    held: limits.Held,
    inside: Guest,
    disorder: Disorder | None = None,
) -> Layout:
    """Return what a target looks like to its inmates."""
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
        disorder=disorder,
    )


def _processors(extras: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(int(word) for word in extras.get("processors", "").split(",") if word)


def facts(
    backend: str, spec: TargetSpec, idmap: IdMap, held: limits.Held, *, network: str
) -> Mapping[str, str]:
    """Return how a target really runs; ``network`` says by what, when it has one."""
    limit = spec.limits
    disk = "unlimited" if spec.scratch == "disk" else str(limits.scratch_size(limit))
    return {
        "backend": backend,
        "users": idmap.label,
        "network": network if spec.network else "none",
        "sudo": str(spec.sudo).lower(),
        "scratch": spec.scratch,
        "disk": disk,
        "inodes": "unlimited" if limit.inodes is None else str(limit.inodes),
        **held.facts,
    }


def warn(spec: TargetSpec, held: limits.Held, sink: Sink) -> None:
    """Say loudly which limits do not hold."""
    gaps = held.gaps
    if spec.scratch == "disk":
        gaps = (*gaps, "disk: unlimited")
    if gaps:
        text = f"limits that this host cannot hold for the target: {'; '.join(gaps)}"
        sink(Event("warning", text))
