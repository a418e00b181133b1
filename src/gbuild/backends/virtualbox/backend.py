"""Targets in VirtualBox machines that a person made, reset to their snapshot before each build."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from gbuild.backends.virtualbox.boxes import Boxes
from gbuild.backends.virtualbox.machine import power_off, release
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
    """Machines of VirtualBox, as Gitian wanted them: ``Gitian-<suite>-<arch>``."""

    name = NAME
    summary = "VirtualBox machines that you made, as Gitian wanted them"
    needs = "VirtualBox, openssh-client"
    settings: ClassVar[Mapping[str, str]] = {
        "program": "path of VBoxManage (default: found in PATH)",
        "machine": "the machine to use (default: Gitian-<suite>-<arch>)",
        "snapshot": "its snapshot that every build starts from (default: Gitian-Clean)",
        "key": "private key that it lets in as root (default: var/id_rsa, below GITIAN_BASE)",
        "port": "port of this host for a machine that is imported (default: 2223)",
        "box-key": "key of a box's user vagrant (default: ~/.vagrant.d/insecure_private_key)",
        "patience": "seconds that it has until its SSH server answers (default: 300)",
    }

    def probe(self) -> tuple[Finding, ...]:
        """Ask VBoxManage what there is; starts no machine."""
        return findings(self._manage)

    def foreign(self, image: Image) -> bool:  # noqa: ARG002 - none makes a difference
        """Every machine is a person's."""
        return True

    def prepare(self, image: Image) -> None:
        """Look whether there is a machine for the image: only its person can make one."""
        look(self._manage, image.environment.label, self.options)
        key_file(self.options, self.environment)

    def prepared(self) -> tuple[Prepared, ...]:
        """Images have no shape here."""
        return ()

    def discard(self, key: str) -> bool:  # noqa: ARG002 - none makes a difference
        """Images have no shape here, and a person's machine is never removed."""
        return False

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process, or by :meth:`prune` if that is killed."""
        return self._start.run(spec, detached=False)

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target that stays.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self._registry.check_free(spec.name)
        self._start.run(spec, detached=True)
        return self._registry.detached(spec.name).info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target."""
        return self._start.machine(self._registry.detached(name))

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
        """Switch off machines that dead targets left running; no machine is removed."""
        if not self._registry.folder.is_dir():
            return ()  # never used: VirtualBox need not even be there
        removed = []
        for entry in self._registry.entries():
            if not self._registry.alive(entry):
                release(self._manage, entry)
                self._registry.remove(entry.id)
                removed.append(f"target {entry.name}")
        self._registry.sweep()
        return (*removed, *self._strays())

    def _strays(self) -> tuple[str, ...]:
        """Switch off machines that carry this store's label and have no entry."""
        names = self._manage.machines()
        labels = {uuid: self._manage.label(uuid) for uuid in names}
        known = {entry.id for entry in self._registry.entries()}  # read last: they come first
        stopped = []
        for uuid, name in names.items():
            target, store = labels[uuid]
            if store == str(self.store.root) and target not in known:
                power_off(self._manage, uuid)
                self._manage.clear_label(uuid)
                stopped.append(f"use of the machine {name}")
        return tuple(stopped)

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
        return running and self._manage.label(uuid)[0] == entry.id
