"""Targets in VirtualBox: clones of machines made from images, or a person's machine, reset."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from gbuild.backends.virtualbox.bases import Bases
from gbuild.backends.virtualbox.boxes import Boxes
from gbuild.backends.virtualbox.fresh import CLONE, Fresh
from gbuild.backends.virtualbox.machine import end, power_off, unregister
from gbuild.backends.virtualbox.manage import Manage
from gbuild.backends.virtualbox.probe import findings
from gbuild.backends.virtualbox.start import (
    NAME,
    Start,
    key_file,
    look,
    machine_name,
    patience_of,
    snapshot_name,
)
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.registry import Entry, Registry


class VirtualBoxBackend(Backend):
    """Machines of VirtualBox: made from images, or a person's, as Gitian wanted them.

    A machine called ``Gitian-<suite>-<arch>``, or the one that is named, is a person's and goes
    first.
    """

    name = NAME
    summary = "VirtualBox machines, made from images or by you"
    needs = "VirtualBox, openssh-client"
    settings: ClassVar[Mapping[str, str]] = {
        "program": "path of VBoxManage (default: found in PATH)",
        "machine": "a machine of yours to use (default: Gitian-<suite>-<arch> if there is one)",
        "snapshot": "its snapshot that every build starts from (default: Gitian-Clean)",
        "key": "private key that it lets in as root (default: var/id_rsa, below GITIAN_BASE)",
        "memory": "MiB of a target made from an image that asks for no limit (default: 2048)",
        "port": "port of this host for a machine that is imported (default: 2223)",
        "box-key": "key of a box's user vagrant (default: ~/.vagrant.d/insecure_private_key)",
        "patience": "seconds that it has until its SSH server answers (default: 300)",
    }

    def probe(self) -> tuple[Finding, ...]:
        """Ask VBoxManage what there is; starts no machine."""
        return findings(self._manage)

    def foreign(self, image: Image) -> bool:
        """Say whether a person's machine is used: it is named, or called as Gitian's were."""
        if self.options.get("machine") or not image.environment.boot:
            return True
        return self._manage.find(machine_name(image.environment.label, self.options)) is not None

    def prepare(self, image: Image) -> None:
        """Make the image's machine; a person's is only looked at."""
        if self.foreign(image):
            look(self._manage, image.environment.label, self.options)
            key_file(self.options, self.environment)
        else:
            self._bases.make(image)

    def prepared(self) -> tuple[Prepared, ...]:
        """List the machines that were made from images."""
        return self._bases.prepared()

    def discard(self, key: str) -> bool:
        """Remove the machine that was made from an image; a person's never."""
        return self._bases.discard(key, used=self._uses)

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process, or by :meth:`prune` if that is killed."""
        return self._starter(spec).run(spec, detached=False)

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target that stays.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self._registry.check_free(spec.name)
        self._starter(spec).run(spec, detached=True)
        return self._registry.detached(spec.name).info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target."""
        entry = self._registry.detached(name)
        return (self._fresh if "folder" in entry.held else self._start).machine(entry)

    def import_machine(self, source: Path, *, label: str) -> str:
        """Make the machine of an environment from a Vagrant box."""
        name = machine_name(label, self.options)
        self._boxes.take(source, name, snapshot_name(self.options))
        return name

    def export_machine(self, dest: Path, *, label: str) -> None:
        """Write a Vagrant box of the machine of an environment, as its snapshot has it."""
        found = look(self._manage, label, self.options)
        self._boxes.give(found, snapshot_name(self.options), dest)

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows."""
        return self._registry.infos()

    def prune(self) -> tuple[str, ...]:
        """Remove what dead targets and killed runs left; a person's machine is switched off."""
        used = self._registry.folder.is_dir() or self._bases.root.is_dir()
        if not used:
            return ()  # VirtualBox need not even be there
        removed = []
        for entry in self._registry.entries():
            if not self._registry.alive(entry):
                end(self._manage, entry, self._registry)
                removed.append(f"target {entry.name}")
        self._registry.sweep()
        return (*removed, *self._strays(), *self._clones(), *self._bases.sweep())

    def _strays(self) -> tuple[str, ...]:
        """Switch off a person's machines that carry this store's label and have no entry."""
        names = self._manage.machines()
        labels = {uuid: self._manage.label(uuid) for uuid in names}
        known = {entry.id for entry in self._registry.entries()}  # read last: they come first
        stopped = []
        for uuid, name in names.items():
            if name.startswith(CLONE):
                continue  # see _clones
            target, store = labels[uuid]
            if store == str(self.store.root) and target not in known:
                power_off(self._manage, uuid)
                self._manage.clear_label(uuid)
                stopped.append(f"use of the machine {name}")
        return tuple(stopped)

    def _clones(self) -> tuple[str, ...]:
        """Remove clones whose files are in this store, and files of clones, that have no entry."""
        root = self._bases.root / "targets"
        folders = set(root.iterdir()) if root.is_dir() else set()
        machines = {
            uuid: Path(found.settings_file)
            for uuid, name in self._manage.machines().items()
            if name.startswith(CLONE) and (found := self._manage.find(uuid)) is not None
        }
        known = {path for e in self._registry.entries() for path in e.held.get("folder", ())}
        gone = []
        for uuid, place in machines.items():
            own = place.parent.parent
            if own.parent == root and str(own) not in known:
                unregister(self._manage, uuid)
                gone.append(f"machine {place.stem}")
        for folder in folders:
            if str(folder) not in known:
                shutil.rmtree(folder, ignore_errors=True)
        return tuple(gone)

    def _uses(self, key: str) -> bool:
        """Say whether a living target is a clone of an image's machine."""
        return any(
            key in entry.held.get("image", ()) and self._registry.alive(entry)
            for entry in self._registry.entries()
        )

    def _starter(self, spec: TargetSpec) -> Start | Fresh:
        return self._start if self.foreign(spec.image) else self._fresh

    @cached_property
    def _bases(self) -> Bases:
        return Bases(self._manage, self.store, self.environment, self.sink)

    @property
    def _fresh(self) -> Fresh:
        return Fresh(
            manage=self._manage,
            store=self.store,
            bases=self._bases,
            registry=self._registry,
            options=self.options,
            sink=self.sink,
        )

    @cached_property
    def _manage(self) -> Manage:
        return Manage(self.options, self.environment)

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self.store, NAME, alive=self._entry_alive)

    @property
    def _boxes(self) -> Boxes:
        return Boxes(
            manage=self._manage,
            store=self.store,
            options=self.options,
            environment=self.environment,
            key=key_file(self.options, self.environment),
            patience=patience_of(self.options),
            sink=self.sink,
        )

    @property
    def _start(self) -> Start:
        return Start(
            manage=self._manage,
            store=self.store,
            registry=self._registry,
            options=self.options,
            environment=self.environment,
            sink=self.sink,
        )

    def _entry_alive(self, entry: Entry) -> bool:
        if not entry.detached:
            return entry.alive()
        uuid = entry.held["machine"][0]
        found = self._manage.find(uuid)
        running = found is not None and found.state == "running"
        return running and ("folder" in entry.held or self._manage.label(uuid)[0] == entry.id)
