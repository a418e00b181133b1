"""Targets as unprivileged containers of an LXD or Incus server, over its own interface alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gbuild.backends.lxd import address, images, instance, place
from gbuild.backends.lxd.address import Address
from gbuild.backends.lxd.bases import Bases, is_base
from gbuild.backends.lxd.daemon import Daemon
from gbuild.backends.lxd.machine import LxdMachine, remove, running
from gbuild.backends.lxd.probe import findings
from gbuild.backends.lxd.start import Starter
from gbuild.errors import Busy, GbuildError
from gbuild.host.store import Store
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.registry import Entry, Registry
from gbuild.target.servers import Servers

NAME = "lxd"


class LxdBackend(Backend):
    """Containers of LXD or Incus: on this host, on another one, or in a cluster."""

    name = NAME
    summary = "containers of an LXD or Incus daemon, here, remote or clustered"
    needs = "a daemon (LXD or Incus)"
    varies = frozenset({"ids", "home", "processors", "scratch"})
    settings: ClassVar[Mapping[str, str]] = {
        "endpoint": "path of the unix socket, or https://host:8443 (default: this host's daemon)",
        "cert": "our certificate for https (default: ~/.config/lxc/client.crt)",
        "key": "its key (default: ~/.config/lxc/client.key)",
        "pin": "sha256 of the server's certificate, or a file that holds it; https needs it",
        "project": "project of the server (default: its default project)",
        "target": "member of a cluster that is to run targets (default: the cluster chooses)",
        "pool": "storage pool (default: that of the profile, or the only one)",
        "network": "managed bridge for targets with a network (default: as for pool)",
        "profile": "profile that names pool and network (default: default); nothing else is used",
    }

    def __init__(
        self,
        *,
        store: Store,
        environment: Mapping[str, str],
        sink: Sink,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(store=store, environment=environment, sink=sink, options=options)
        self._registry = Registry(store, NAME, alive=self._entry_alive)
        self._servers: Servers[Address, Daemon] = Servers(
            self._registry, place=self._place, connect=Daemon, lives=Daemon.lives, sink=sink
        )
        self._checked: set[str] = set()

    def probe(self) -> tuple[Finding, ...]:
        """Connect, and look at what the server has."""
        return findings(self._daemon, self.options)

    def prepare(self, image: Image) -> None:
        """Import the image into the server, and make a base of it where that helps."""
        daemon = self._daemon()
        pool = place.pool(daemon, self.options)  # none is told before half a gigabyte is sent
        wanted = images.ensure(daemon, image, self.store, self.sink)
        self._starter(daemon).source(image, wanted, pool)

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that the server has for this store."""
        return images.listed(self._daemon(), images.store_id(self.store))

    def discard(self, key: str) -> bool:
        """Remove an image from the server unless another store uses it too.

        Raises:
            Busy: a target uses it.
        """
        with self._servers.once():
            bases = self._bases(self._daemon())
            here = bases.daemon.address
            if self._servers.any_alive(lambda e: e.held.get("image") == [key], here=here):
                raise Busy(f"a target uses the image {key}", hint="gtarget list")
        removed = bases.discard(key)
        return images.discard(bases.daemon, key, bases.mark) or removed

    def start(self, spec: TargetSpec) -> Machine:
        """Start a target that ends with this process, even if that is killed."""
        return self._launch(spec, detached=False)[0]

    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target that runs until it is stopped.

        Raises:
            UsageFailure: a target of that name runs already.
        """
        self._registry.check_free(spec.name)
        _, entry = self._launch(spec, detached=True)
        return entry.info(NAME, alive=True)

    def attach(self, name: str) -> Machine:
        """Reach a detached target."""
        entry = self._registry.detached(name)
        return LxdMachine(
            entry, self._daemon_of(entry), forget=lambda: self._registry.remove(entry.id)
        )

    def targets(self) -> tuple[TargetInfo, ...]:
        """List what this store's registry knows; of a server that does not answer all are dead."""
        return self._servers.targets()

    def prune(self) -> tuple[str, ...]:
        """Remove what dead targets left on their servers, found by entry and by label."""
        with self._servers.once():
            return (*self._servers.prune(self._end), *self._strays())

    def _end(self, entry: Entry) -> None:
        remove(self._daemon_of(entry), entry.held["instance"][0])
        self._registry.remove(entry.id)

    def _strays(self) -> tuple[str, ...]:
        """Remove instances with our label that no entry knows."""
        try:
            daemon = self._daemon()
        except GbuildError as error:
            used = self._registry.folder.is_dir() and address.any_here()
            if used or address.asked_for(self.options, self.environment):
                self._servers.unsearched(error)
            return ()  # none here, or one that this store never had to do with
        bases = self._bases(daemon)
        labelled = bases.labelled()
        known = {entry.id for entry in self._registry.entries()}
        strays = [
            str(one["name"])
            for one in labelled
            if one["config"].get(instance.ID) not in known and not is_base(one["config"])
        ]
        removed = tuple(f"instance {name}" for name in strays if remove(daemon, name))
        keys = frozenset(one.key for one in images.listed(daemon, bases.mark))
        return (*removed, *bases.prune(keys))

    def _bases(self, daemon: Daemon) -> Bases:
        return Bases(daemon=daemon, store=self.store, mark=images.store_id(self.store))

    def _launch(self, spec: TargetSpec, *, detached: bool) -> tuple[LxdMachine, Entry]:
        daemon = self._daemon()
        image = images.ensure(daemon, spec.image, self.store, self.sink)
        starter = self._starter(daemon)
        first = spec.image.key not in self._checked
        machine, entry, shape = starter.start(spec, image, detached=detached, first=first)
        self._checked.add(spec.image.key)
        if missing := instance.gaps(spec, shape):
            text = f"limits that this server cannot hold for the target: {'; '.join(missing)}"
            self.sink(Event("warning", text))
        return machine, entry

    def _starter(self, daemon: Daemon) -> Starter:
        return Starter(
            daemon=daemon,
            bases=self._bases(daemon),
            registry=self._registry,
            options=self.options,
            sink=self.sink,
        )

    def _daemon(self) -> Daemon:
        """Return the server that was chosen."""
        return self._servers.link(address.find(self.options, self.environment))

    def _daemon_of(self, entry: Entry) -> Daemon:
        """Return the server of a target, which may be another than the one chosen now."""
        return self._servers.link(self._place(entry))

    def _place(self, entry: Entry) -> Address:
        pairs = (word.partition("=") for word in entry.held.get("options", ()))
        endpoint, project = entry.held["server"]
        return address.again(
            endpoint,
            project,
            noted={name: value for name, _, value in pairs},
            options=self.options,
            environment=self.environment,
        )

    def _entry_alive(self, entry: Entry) -> bool:
        if not entry.detached:
            return entry.alive()
        return running(self._daemon_of(entry), entry.held["instance"][0])
