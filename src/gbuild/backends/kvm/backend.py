"""Virtual machines by libvirt: KVM where it works, QEMU's emulation where it does not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from gbuild.backends.kvm import hypervisor, pool, probe
from gbuild.backends.kvm.address import parse
from gbuild.backends.kvm.channel import Channel
from gbuild.backends.kvm.launch import Launch
from gbuild.backends.kvm.library import Connection, connect, lives
from gbuild.backends.kvm.machine import FarDoor, KvmMachine, LocalDoor
from gbuild.backends.kvm.outside import WayOut
from gbuild.backends.kvm.pieces import Pieces
from gbuild.backends.kvm.remote import There
from gbuild.backends.kvm.site import Here, Site
from gbuild.backends.kvm.targets import Targets
from gbuild.errors import HostFailure, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Sink
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.registry import Entry
from gbuild.target.servers import Servers

NAME = "kvm"


class KvmBackend(Backend):
    """Virtual machines of a libvirt daemon: the person's own, the system's, or another host's."""

    name = NAME
    summary = "virtual machines by libvirt and QEMU, with KVM or without"
    needs = "libvirt, QEMU; /dev/kvm to be fast"
    settings: ClassVar[Mapping[str, str]] = {
        "uri": "libvirt's address, also qemu+ssh:// [qemu:///session; for root qemu:///system]",
        "pool": "another host's storage pool for our volumes [gbuild]",
        "acceleration": "auto, kvm, or tcg (emulation) [auto]",
        "saved-state": "yes, or no: boot each target from nothing [yes]",
        "memory": "MiB of a target that asks for no limit [2048]",
    }

    varies = frozenset({"ids", "home", "processors", "personality", "wall", "model"})

    def __init__(
        self,
        *,
        store: Store,
        environment: Mapping[str, str],
        sink: Sink,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(store=store, environment=environment, sink=sink, options=options)
        self._pieces = Pieces(store, environment, sink)
        self._targets = Targets(store, self._connection)
        self._hosts: Servers[str, Connection] = Servers(
            self._targets.registry,
            place=lambda entry: parse(entry.held["uri"][0]).uri,
            connect=connect,
            lives=lives,
            sink=sink,
        )
        self._there: dict[str, There] = {}

    @property
    def uri(self) -> str:
        """Where libvirt is."""
        usual = "qemu:///system" if os.geteuid() == 0 else "qemu:///session"
        return self.options.get("uri", usual)

    def probe(self) -> tuple[Finding, ...]:
        """Look for the library, the daemon, QEMU and its tools; starts no machine."""
        try:
            address = parse(self.uri)
        except UsageFailure as error:
            return (Finding("libvirt", "missing", error.brief, error.hint),)
        return probe.findings_elsewhere(self._site) if address.ssh else probe.findings(self.uri)

    def prepare(self, image: Image) -> None:
        """Make the image's disk, and kernel and initrd of its environment, where they are used."""
        boot = self._pieces.boot(image)
        self._site.made(boot, image)

    def prepared(self) -> tuple[Prepared, ...]:
        """List the disks."""
        return self._site.prepared()

    def discard(self, key: str) -> bool:
        """Remove an image's disk."""
        here = parse(self.uri).uri

        def used(key: str) -> bool:
            return self._hosts.any_alive(lambda e: key in e.held.get("image", ()), here=here)

        def idle() -> bool:
            return not self._hosts.any_alive(lambda _: True, here=here)

        with self._hosts.once():
            return self._site.discard(key, used=used, idle=idle)

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process."""
        return self._launch(spec, detached=False)

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target that stays.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self._targets.registry.check_free(spec.name)
        self._launch(spec, detached=True)
        return self._targets.registry.detached(spec.name).info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target."""
        return self._machine(self._targets.registry.detached(name), [])

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows; of a host that does not answer all are dead."""
        return self._hosts.targets()

    def prune(self) -> tuple[str, ...]:
        """End domains of this store that no living target has, and remove their files."""
        with self._hosts.once():
            ended = self._hosts.prune(self._targets.end)
            left = (*self._targets.folders(), *self._pieces.prune(self._targets.names))
            return (*ended, *left, *self._strays())

    def _strays(self) -> tuple[str, ...]:
        """Remove from the chosen host what carries our mark and belongs to no entry."""
        if not self._targets.any_used():
            return ()
        try:
            connection = self._connection(self.uri)
        except HostFailure as error:
            if parse(self.uri).ssh is not None:
                self._hosts.unsearched(error)
            return ()  # no daemon, or no library: nothing of ours is known there
        site = self._site
        lost = site.strays(self._targets.tokens)
        return (*self._targets.strays(connection, site.mark), *lost)

    def _launch(self, spec: TargetSpec, *, detached: bool) -> KvmMachine:
        launch = Launch(
            spec=spec,
            site=self._site,
            connect=lambda: self._connection(self.uri),
            pieces=self._pieces,
            targets=self._targets,
            options=self.options,
            sink=self.sink,
        )
        return self._machine(launch.run(detached=detached), launch.keep)

    def _machine(self, entry: Entry, held: list[Channel | WayOut]) -> KvmMachine:
        """Return the machine of a target; ``held`` is let go of when it has ended."""
        uri, uuid = entry.held["uri"][0], entry.held["domain"][1]
        handle = hypervisor.Hypervisor(lambda: self._connection(uri), uuid, entry.id, entry.name)

        def clean() -> None:
            while held:
                held.pop().close()
            self._targets.remove(entry)

        address, port = parse(uri), int(entry.held["port"][0])
        door = FarDoor(address.ssh, port) if address.ssh else LocalDoor(port)
        return KvmMachine(entry, handle, door, clean, self.sink, host=address.host)

    @property
    def _site(self) -> Site:
        """The host where targets run."""
        address = parse(self.uri)
        if address.ssh is None:
            return Here(address, self._pieces, self.environment)
        if address.uri not in self._there:
            self._there[address.uri] = There(
                address,
                lambda: self._connection(self.uri),
                self._pieces,
                self.store,
                pool_name=self.options.get("pool", pool.USUAL),
                sink=self.sink,
            )
        return self._there[address.uri]

    def _connection(self, uri: str) -> Connection:
        return self._hosts.link(parse(uri).uri)
