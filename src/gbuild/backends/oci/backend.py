"""Targets in containers: podman without root, or docker; SSH over ``exec``, no port, no bridge."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from gbuild.backends.oci import probe
from gbuild.backends.oci.container import STORE
from gbuild.backends.oci.engine import Engine, find
from gbuild.backends.oci.images import Images, Ready
from gbuild.backends.oci.machine import OciMachine, outlive, remove
from gbuild.backends.oci.probe import About
from gbuild.backends.oci.start import NAME, Start
from gbuild.errors import Busy, GbuildError, UsageFailure
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.registry import Registry

_LOCK = "oci-engine"


class OciBackend(Backend):
    """Targets in containers of podman or docker."""

    name = NAME
    summary = "containers of podman (without root) or docker"
    needs = "podman, uidmap, slirp4netns (for network); or docker's daemon"
    varies = frozenset({"ids", "home", "scratch"})
    settings: ClassVar[Mapping[str, str]] = {
        "engine": "podman or docker, or the path of one (default: the first that is installed)",
        "runtime": "podman's OCI runtime: runc, crun or a path (default: podman's own choice)",
        "storage": "own (below the store, the default), default (the engine's), or a folder",
        "image": "[NAME@]sha256:..., or descriptor: build on this image of the engine, with drift",
    }

    def probe(self) -> tuple[Finding, ...]:
        """Ask the engine what it is and what it may do."""
        try:
            with self._using():
                return probe.findings(self.engine)
        except GbuildError as error:
            return (probe.missing(error),)

    def foreign(self, image: Image) -> bool:
        """Say whether a person named an image in place of gbuild's own."""
        del image
        return "image" in self.options

    def given(self, digests: Mapping[str, str]) -> None:
        """Remember a descriptor's ``docker_image_digests``, for ``image=descriptor``."""
        self._given = digests

    def prepare(self, image: Image) -> None:
        """Import the image into the engine; a second call in this process asks nothing."""
        with self._using():
            self._ready(image)
            self.about  # noqa: B018 - asked now, so that a start need not

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that were imported for this store."""
        if not self._images.noted():
            return ()
        with self._using():
            return self._images.listed()

    def discard(self, key: str) -> bool:
        """Remove an imported image."""
        with self._using():
            return self._images.discard(key)

    def start(self, spec: TargetSpec) -> Machine:
        """Start a container that ends when this process ends, however it does."""
        with self._using():
            return self._start(spec).attached()

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a container that the engine keeps.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self.registry.check_free(spec.name)
        with self._using():
            return self._start(spec).kept().info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Return a machine for a detached container; its ``stop`` ends it."""
        entry = self.registry.detached(name)
        return OciMachine(
            entry,
            self.engine,
            name=entry.held["containers"][0],
            pid=entry.pid,
            client=None,
            cleanup=lambda: self.registry.remove(entry.id),
        )

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows."""
        return self.registry.infos()

    def prune(self) -> tuple[str, ...]:
        """Remove the containers of dead targets, by the registry and by their label."""
        with self._using():
            removed = self._remove_dead()
            self.registry.sweep()
        self._rest()
        return removed

    def _remove_dead(self) -> tuple[str, ...]:
        removed = []
        living = set[str]()
        for entry in self.registry.entries():
            containers = entry.held.get("containers", ())
            if self.registry.alive(entry):
                living.update(containers)
                continue
            for container in containers:
                outlive(container)
                remove(self.engine, container)
            self.registry.remove(entry.id)
            removed.append(f"target {entry.name}")
        removed += [f"container {name}" for name in self._strays(living)]
        return (*removed, *self._images.sweep())

    def _strays(self, living: set[str]) -> tuple[str, ...]:
        """Remove containers that carry this store's label and have no living entry."""
        mark = f"--filter=label={STORE}={self.store.root}"
        listed = self.engine.ask("ps", "--all", mark, "--format={{.Names}}").stdout.decode()
        return tuple(n for n in listed.split() if n not in living and remove(self.engine, n))

    @cached_property
    def registry(self) -> Registry:
        """What runs."""
        return Registry(self.store, NAME)

    @cached_property
    def engine(self) -> Engine:
        """The engine, found at the first use; it rests again when this process ends."""
        found = find(self.options, self.environment, self.store)
        atexit.register(self._leave)
        return found

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keep :meth:`_rest` of other processes away."""
        with self.store.lock(_LOCK, shared=True):
            self.engine.wake()
            yield

    def _leave(self) -> None:
        if self.store.root.is_dir():
            with suppress(GbuildError):  # ``gtarget prune`` tries again, and says why not
                self._rest()

    def _rest(self) -> None:
        """Leave no process and no folder behind when nobody uses our storage any more."""
        with suppress(Busy), self.store.lock(_LOCK, wait=0):
            if not self.registry.entries():
                self.engine.rest()

    @cached_property
    def about(self) -> About:
        """What the engine says of itself, asked once."""
        return probe.ask(self.engine)

    @cached_property
    def _images(self) -> Images:
        return Images(self.engine, self.store, self.sink)

    _given: Mapping[str, str] = MappingProxyType({})

    @cached_property
    def _known(self) -> dict[str, Ready]:
        return {}

    def _ready(self, image: Image) -> Ready:
        if image.key not in self._known:
            name = self._named(image)
            ready = self._images.provide(image) if name is None else self._images.given(name, image)
            self._known[image.key] = ready
        return self._known[image.key]

    def _named(self, image: Image) -> str | None:
        """Return the image that is to be used in place of ours.

        Raises:
            UsageFailure: the descriptor is to name it, and does not.
        """
        name = self.options.get("image")
        if name != "descriptor":
            return name
        suite = image.environment.suite
        if suite not in self._given:
            raise UsageFailure(
                f"image=descriptor, but the descriptor has no docker_image_digests for {suite}"
            )
        return f"sha256:{self._given[suite].removeprefix('sha256:')}"

    def _start(self, spec: TargetSpec) -> Start:
        ready = self._ready(spec.image)
        return Start(self.engine, self.about, self.registry, self.sink, spec=spec, image=ready)
