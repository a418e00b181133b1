"""What backends share whose targets are processes of this host over unpacked images.

Such a backend adds its probe and :meth:`~gbuild.target.keeper.Keepable.launch`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gbuild.host import cgroup
from gbuild.host.store import Store
from gbuild.image.copies import Copies, Trees
from gbuild.model.event import Sink
from gbuild.model.image import Image
from gbuild.target import keeper
from gbuild.target.backend import Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.contained import AttachedMachine
from gbuild.target.registry import Entry, Registry


class TreeBackend(keeper.Keepable):
    """Targets in overlays over the store's trees, written down in a registry.

    Attributes:
        copies: the trees and what lies over them.
        registry: the targets of this backend and store.
    """

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
        self.registry = Registry(store, self.name)
        self.copies = Copies(
            store=store,
            environment=environment,
            sink=sink,
            scratch=self.registry.scratch,
            trees=trees,
        )

    def hurry(self) -> None:
        """Begin to check the tree of the image that is likely to be used."""
        self.copies.hurry()

    def prepare(self, image: Image) -> None:
        """Unpack the image into the store."""
        self.copies.prepare(image)

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that are unpacked for this person's users."""
        return self.copies.prepared()

    def discard(self, key: str) -> bool:
        """Remove an unpacked image."""
        return self.copies.discard(key)

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process."""
        return self.launch(spec, detached=False)

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target in a process of its own.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self.registry.check_free(spec.name)
        self.copies.prepare(spec.image, elsewhere=True)
        keeper.spawn(self, spec, trees=self.copies.trees)
        return self.registry.detached(spec.name).info(self.name, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target through the process that keeps it."""
        return AttachedMachine(self.registry.detached(name), self.registry)

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows."""
        return self.registry.infos()

    def prune(self) -> tuple[str, ...]:
        """Remove what the dead held: control groups and the like, entries, scratch folders."""
        removed: list[str] = []
        for entry in self.registry.entries():
            if not entry.alive():
                removed += (f"target {entry.name}", *self.release(entry))
                self.registry.remove(entry.id)
        self.registry.sweep()
        for folder in self.registry.abandoned_scratch():
            self.copies.remove_scratch(folder)
            removed.append(str(folder))
        return (*removed, *self.sweep())

    def release(self, entry: Entry) -> tuple[str, ...]:
        """Remove what a dead target held on this host; return what there was."""
        return cgroup.remove_dead(entry.held.get("groups", ()))

    def sweep(self) -> tuple[str, ...]:
        """Remove what drivers left that were killed before they wrote a target down.

        Here that is control groups; whoever writes targets down first has nothing to sweep.
        """
        return cgroup.remove_leftovers(cgroup.places())
