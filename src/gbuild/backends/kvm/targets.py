"""Which targets of this backend exist: the registry, held against what libvirt runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import BinaryIO

from gbuild.backends.kvm.address import parse
from gbuild.backends.kvm.hypervisor import Hypervisor, ours
from gbuild.backends.kvm.library import Connection, answered
from gbuild.backends.kvm.volumes import Volumes
from gbuild.host.store import Store
from gbuild.target.registry import Entry, Registry, token_of

NAME = "kvm"


class Targets:
    """The targets of one store.

    ``held`` of an entry: ``uri``, ``image`` (key), ``folder`` or, on another host, ``pool`` (name,
    UUID) and ``volumes``; then ``domain`` (name, UUID), and once it has answered ``port``.
    """

    def __init__(self, store: Store, connection: Callable[[str], Connection]) -> None:
        self._store = store
        self._connection = connection
        self.registry = Registry(store, NAME, alive=self.alive)

    def named(self, entry: Entry, name: str, uuid: str) -> Entry:
        """Note which domain is to be a target's."""
        entry = replace(entry, held={**entry.held, "domain": [name, uuid]})
        self.registry.add(entry)
        return entry

    def answered(self, entry: Entry, *, port: int, facts: Mapping[str, str]) -> Entry:
        """Note that a target runs, and where it is reached."""
        entry = replace(entry, facts=facts, held={**entry.held, "port": [str(port)]})
        self.registry.add(entry)
        return entry

    def choosing(self) -> AbstractContextManager[BinaryIO]:
        """Hold this while a free name is chosen and written down."""
        return self._store.lock("kvm-names")

    def alive(self, entry: Entry) -> bool:
        """Say whether a target runs, or is being started by a process that does.

        Raises:
            HostFailure: no daemon answers where it runs.
        """
        if "port" not in entry.held:
            return entry.alive()
        return (entry.detached or entry.alive()) and self._domain(entry).running()

    def any_used(self) -> bool:
        """Say whether this backend was ever used with this store."""
        return (self._store.root / "kvm").is_dir()

    def names(self) -> frozenset[str]:
        """Return the domain names that entries hold."""
        return frozenset(n for e in self.registry.entries() for n in e.held.get("domain", ())[:1])

    def tokens(self) -> frozenset[str]:
        """Return what names the own files and volumes of each target."""
        return frozenset(token_of(entry.id) for entry in self.registry.entries())

    def remove(self, entry: Entry) -> None:
        """Remove what an ended target has left; its entry goes last.

        Raises:
            HostFailure, BackendFailure: a volume on another host stays, and so does the entry.
        """
        for folder in entry.held.get("folder", ()):
            shutil.rmtree(folder, ignore_errors=True)
        for name in entry.held.get("volumes", ()):
            self._volumes(entry).remove(name)
        self.registry.remove(entry.id)

    def end(self, entry: Entry) -> None:
        """End every domain that carries a target's mark, and remove what is left of it."""
        uri = entry.held["uri"][0]
        for uuid, mark in answered(lambda: self._connection(uri), ours).items():
            if mark[1] == entry.id:
                self._hypervisor(uri, uuid, entry).end()
        self.remove(entry)

    def folders(self) -> tuple[str, ...]:
        """Remove folders of targets that have no entry."""
        root = self._store.root / "kvm" / "targets"
        left = list(root.iterdir()) if root.is_dir() else []
        known = {path for e in self.registry.entries() for path in e.held.get("folder", ())}
        gone = [folder for folder in left if str(folder) not in known]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        return tuple(str(folder) for folder in gone)

    def strays(self, connection: Connection, mark: str) -> tuple[str, ...]:
        """End domains that carry this store's mark and belong to no entry."""
        there = ours(connection)
        known = {entry.id for entry in self.registry.entries()}
        found = []
        for uuid, (store, identity) in there.items():
            if store == mark and identity not in known:
                Hypervisor(lambda: connection, uuid, identity, identity).end()
                found.append(f"domain of {identity}")
        return tuple(found)

    def _domain(self, entry: Entry) -> Hypervisor:
        return self._hypervisor(entry.held["uri"][0], entry.held["domain"][1], entry)

    def _hypervisor(self, uri: str, uuid: str, entry: Entry) -> Hypervisor:
        return Hypervisor(lambda: self._connection(uri), uuid, entry.id, entry.name)

    def _volumes(self, entry: Entry) -> Volumes:
        uri, (name, uuid) = entry.held["uri"][0], entry.held["pool"]
        host = parse(uri).host
        return Volumes(lambda: self._connection(uri), name, uuid, host=host, store=self._store)
