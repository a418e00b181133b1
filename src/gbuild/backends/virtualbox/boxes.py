"""A person's machine from a Vagrant box, and a box from such a machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.backends.virtualbox import box
from gbuild.backends.virtualbox.machine import power_off
from gbuild.backends.virtualbox.manage import Info, Manage
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure, Busy, GbuildError, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event, Sink

PORT = 2223
"""Port of this host that leads to Gitian's machines."""

_LAST_PORT = 65535
_CARDS = 8
_SERIAL = 4
_HOURS = 4 * 3600.0
_SHUTDOWN = 120.0
_USER = "vagrant"
_BOX_KEY = ".vagrant.d/insecure_private_key"
_LET_IN = "umask 077; mkdir -p /root/.ssh && cat >> /root/.ssh/authorized_keys && sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Imports and exports.

    ``key`` is the person's private key for root, its public half lies beside it as ``.pub``.
    """

    manage: Manage
    store: Store
    options: Mapping[str, str]
    environment: Mapping[str, str]
    key: Path
    patience: float
    sink: Sink

    def take(self, source: Path, name: str, snapshot: str) -> None:
        """Make the machine ``name`` from a box: closed, with our port and key, and a snapshot.

        Raises:
            UsageFailure: there is such a machine, or the file is no box.
            BackendFailure: VirtualBox refuses, or nobody is let in.
        """
        if self.manage.find(name) is not None:
            raise UsageFailure(
                f"VirtualBox has a machine called {name} already",
                hint=f"VBoxManage modifyvm {name} --name OTHER-NAME",
            )
        public, _ = self._public_key(), self._port()
        with ExitStack() as undo:
            with self._folder() as folder:
                self.sink(Event("step", f"unpacking {source.name}"))
                ovf = box.unpack(source, folder)
                self.sink(Event("step", f"importing it as {name}"))
                words = ("--vsys", "0", "--vmname", name, "--options", "keepnatmacs")
                self.manage.ask("import", str(ovf), *words, timeout=_HOURS)
            undo.callback(self._remove, name)
            found = self.manage.info(name)
            self._close(found)
            self.manage.ask("startvm", found.uuid, "--type", "headless")
            undo.callback(power_off, self.manage, found.uuid)
            with tempfile.TemporaryDirectory() as known:
                self._let_in(found, Path(known), public)
            undo.pop_all()
        self.manage.ask("snapshot", found.uuid, "take", snapshot)

    def give(self, found: Info, snapshot: str, dest: Path) -> None:
        """Write the box of a machine as its snapshot has it.

        Raises:
            Busy: it runs.
            BackendFailure: its snapshot was taken while it ran.
        """
        if found.busy:
            raise Busy(f"the machine {found.name} runs", hint="shut it down")
        self.manage.ask("snapshot", found.uuid, "restore", snapshot)
        found = self.manage.info(found.uuid)
        if found.state == "saved":
            raise BackendFailure(
                f"the snapshot {snapshot} of {found.name} was taken while it ran: it cannot be "
                "exported",
                hint="start it, shut it down inside, and take another snapshot; "
                "--backend-option snapshot=NAME names it",
            )
        with self._folder() as folder:
            self.sink(Event("step", f"exporting {found.name}"))
            output = str(folder / box.OVF)
            self.manage.ask("export", found.uuid, "--output", output, timeout=_HOURS)
            self.sink(Event("step", f"writing {dest.name}"))
            box.pack(folder, dest, mac=found.values.get("macaddress1", ""))
        text = f"{dest.name} lets in as root whoever has the private half of {self.key.name}"
        self.sink(Event("warning", text))

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Keep a folder beside the store's blobs, where there is room for disks."""
        with tempfile.TemporaryDirectory(prefix="box-", dir=self.store.root) as folder:
            yield Path(folder)

    def _public_key(self) -> bytes:
        path = self.key.with_name(f"{self.key.name}.pub")
        if not path.is_file():
            raise UsageFailure(
                f"there is no public key {path}", hint=f"ssh-keygen -y -f {self.key} > {path}"
            )
        return path.read_bytes()

    def _close(self, found: Info) -> None:
        """Leave one network card with one port of this host's loopback, and nothing else open."""
        uuid = found.uuid
        cards = (word for n in range(2, _CARDS + 1) for word in (f"--nic{n}", "none"))
        serial = (word for n in range(1, _SERIAL + 1) for word in (f"--uart{n}", "off"))
        self.manage.ask("modifyvm", uuid, "--nic1", "nat", *cards, *serial, "--vrde", "off")
        for rule in found.forwards:
            self.manage.ask("modifyvm", uuid, "--natpf1", "delete", rule.name)
        ours = f"guestssh,tcp,127.0.0.1,{self._port()},,22"
        self.manage.ask("modifyvm", uuid, "--natpf1", ours)
        if self.manage.release() >= (7, 0):
            self.manage.ask("modifyvm", uuid, "--nat-localhostreachable1=off")
        for key, folder in found.values.items():
            if key.startswith("SharedFolderNameMachineMapping"):
                self.manage.ask("sharedfolder", "remove", uuid, "--name", folder)

    def _port(self) -> int:
        given = self.options.get("port") or str(PORT)
        if not (given.isdecimal() and 0 < int(given) <= _LAST_PORT):
            raise UsageFailure(f"port={given} is not a port")
        return int(given)

    def _let_in(self, found: Info, folder: Path, public: bytes) -> None:
        """Have the machine let root in by the person's key, and shut it down from inside."""
        alias = f"virtualbox-{found.uuid}"
        root = Way(port=self._port(), key=self.key, known=folder / "known_hosts", alias=alias)
        user = replace(root, user=_USER, key=self._box_key())
        until = time.monotonic() + self.patience
        self.sink(Event("step", f"waiting for {found.name}"))

        def runs() -> bool:
            return self.manage.info(found.uuid).state == "running"

        try:
            root.wait(runs, timeout=self.patience)  # a box of ours
        except BackendFailure:
            if not user.key.is_file():
                raise
            user.wait(runs, timeout=max(1.0, until - time.monotonic()))
            done = user.run(("sudo", "-n", "sh", "-c", _LET_IN), stdin=public)
            if done.returncode != 0:
                lines = tuple(done.stderr.decode(errors="replace").splitlines()[-5:])
                raise BackendFailure(
                    f"{_USER} may not become root in the box", details=lines
                ) from None
            root.wait(runs, timeout=max(1.0, until - time.monotonic()))
        self._shut_down(root, found)

    def _box_key(self) -> Path:
        given = self.options.get("box-key")
        return Path(given) if given else Path(self.environment.get("HOME", "/")) / _BOX_KEY

    def _shut_down(self, way: Way, found: Info) -> None:
        """Let the machine write everything down and end; pull the plug if it does not."""
        with suppress(GbuildError):  # the connection may end before the answer
            way.run(("/bin/sh", "-c", "sync; PATH=/sbin:/bin:/usr/sbin:/usr/bin; poweroff"))
        until = time.monotonic() + _SHUTDOWN
        while self.manage.info(found.uuid).busy and time.monotonic() < until:
            time.sleep(0.5)
        power_off(self.manage, found.uuid)

    def _remove(self, name: str) -> None:
        self.manage.ask("unregistervm", name, "--delete")
