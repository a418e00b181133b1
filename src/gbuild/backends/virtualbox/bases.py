"""Machines of VirtualBox that are made from images: one for each image, never started itself.

Targets are linked clones of its snapshot. Layout below the store::

    virtualbox/bases/<image's key>/    the machine's files and its disk; base.json names it, keys
                                       let gbuild into its clones; whole is written last
    virtualbox/targets/<token>/        the files of one clone

Whatever VirtualBox has below these folders is ours, and nothing else is.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gbuild.backends.virtualbox import hardware
from gbuild.backends.virtualbox.machine import unregister
from gbuild.backends.virtualbox.manage import Manage
from gbuild.errors import BackendFailure, Busy, UsageFailure
from gbuild.host.files import write_atomically
from gbuild.host.idmap import current
from gbuild.host.store import Store
from gbuild.image.boot import cpio, initrd, read_parts
from gbuild.image.bootable import make_bootable
from gbuild.image.disk import SIZE
from gbuild.image.provide import download_boot
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target.backend import Prepared
from gbuild.target.guest import new_key

SNAPSHOT = "Gitian-Clean"
LABEL = "gbuild/image"
"""Key of extra data: which image of which store a machine was made from."""

_HERE = Path(__file__).parent
_MODULES = ("ata_piix", "sd_mod", "virtio_pci", "virtio_net", "ext4")
_ARGUMENTS = "console=ttyS0 net.ifnames=0 quiet panic=-1 audit=0 apparmor=0 random.trust_cpu=on"
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Base:
    """A machine made from an image, with a snapshot, and the keys to its clones."""

    folder: Path
    uuid: str
    name: str

    @property
    def key(self) -> Path:
        """Private key that its clones let in as root."""
        return self.folder / "key"

    @property
    def known(self) -> Path:
        """The SSH host key that they show, as known_hosts has it, under :attr:`alias`."""
        return self.folder / "known_hosts"

    @property
    def alias(self) -> str:
        """What the host key is remembered by."""
        return f"virtualbox-{self.uuid}"


class Bases:
    """Makes and removes them."""

    def __init__(
        self, manage: Manage, store: Store, environment: Mapping[str, str], sink: Sink
    ) -> None:
        self._manage = manage
        self._store = store
        self._environment = environment
        self._sink = sink
        self.root = store.root / "virtualbox"

    def lock(self, key: str, *, wait: float | None = None) -> AbstractContextManager[BinaryIO]:
        """Hold an image's machine: to make, clone or remove it."""
        return self._store.lock(f"virtualbox-base-{key}", wait=wait)

    def make(self, image: Image) -> Base:
        """Return the image's machine, made now unless it is there.

        Raises:
            UsageFailure: the lock has no kernel or no boot loader.
            MissingTool, BackendFailure: mke2fs or VBoxManage are missing, or failed.
        """
        with self.lock(image.key):
            folder = self.root / "bases" / image.key
            if (found := self._whole(folder)) is None:
                self._remove(folder)  # what a killed run left
                try:
                    found = self._make(image, folder)
                except BaseException:
                    self._remove(folder)
                    raise
            os.utime(folder)  # used now: see prepared()
            return found

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that have a machine."""
        folders = sorted(path.parent for path in (self.root / "bases").glob("*/whole"))
        return tuple(
            Prepared(
                key=folder.name,
                label=(folder / "whole").read_text().strip(),
                place=str(folder),
                used=folder.stat().st_mtime,
            )
            for folder in folders
        )

    def discard(self, key: str, *, used: Callable[[str], bool]) -> bool:
        """Remove an image's machine; say whether there was one.

        Raises:
            Busy: ``used`` says that a target is a clone of it, or one just starts.
        """
        folder = self.root / "bases" / key
        if not folder.is_dir():
            return False
        with self.lock(key, wait=0):
            if used(key):
                raise Busy(f"a target uses the image {key}", hint="gtarget list")
            self._remove(folder)
        return True

    def sweep(self) -> tuple[str, ...]:
        """Remove what killed runs had begun to make."""
        removed = []
        root = self.root / "bases"
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            if (folder / "whole").exists():
                continue
            try:
                with self.lock(folder.name, wait=0):
                    if not (folder / "whole").exists():
                        self._remove(folder)
                        removed.append(str(folder))
            except Busy:
                continue  # somebody makes it now
        return tuple(removed)

    def _whole(self, folder: Path) -> Base | None:
        """Return the machine if it was made to its end and VirtualBox still has it."""
        if not (folder / "whole").exists():
            return None
        base = _read(folder)
        found = self._manage.find(base.uuid)
        return base if found is not None and SNAPSHOT in found.snapshots else None

    def _remove(self, folder: Path) -> None:
        """Remove a machine, whole or half made, and its files."""
        if not folder.is_dir():
            return
        (folder / "whole").unlink(missing_ok=True)
        if (folder / "base.json").exists():
            unregister(self._manage, _read(folder).uuid)
        shutil.rmtree(folder)

    def _make(self, image: Image, folder: Path) -> Base:
        label = image.environment.label
        self._sink(Event("step", f"making the VirtualBox machine of {label}", {"job": label}))
        folder.mkdir(parents=True, mode=0o700)
        base = Base(folder, str(uuid.uuid4()), f"gbuild-{label}-{image.key[:12]}")
        record = {"uuid": base.uuid, "name": base.name}
        write_atomically(folder / "base.json", json.dumps(record).encode())
        raw, disk = folder / "disk.raw", folder / "disk.vdi"
        try:
            self._disk(image, base, raw)
            self._manage.ask(
                "convertfromraw", str(raw), str(disk), "--format", "VDI", timeout=_HOUR
            )
        except OSError as error:
            raise BackendFailure(f"{raw} cannot be made", details=(str(error),)) from error
        raw.unlink()
        for words in hardware.base(base.name, base.uuid, folder, disk, self._manage.release()):
            self._manage.ask(*words, timeout=_HOUR)
        self._manage.ask("setextradata", base.uuid, LABEL, f"{image.key} {self._store.root}")
        self._manage.ask("snapshot", base.uuid, "take", SNAPSHOT)
        write_atomically(folder / "whole", f"{label}\n".encode())
        return base

    def _disk(self, image: Image, base: Base, path: Path) -> None:
        environment = image.environment
        if not environment.boot:
            raise UsageFailure(
                f"the lock of {environment.label} has no kernel: its boot section is empty",
                hint="pin one: glock --boot DESCRIPTOR; or make a machine yourself: "
                "docs/how-to/backend-virtualbox.md",
            )
        download_boot(
            environment, store=self._store, sink=self._sink, os_environment=self._environment
        )
        parts = read_parts([self._store.verified(one.sha256) for one in environment.boot])
        script, then = ((_HERE / name).read_text() for name in ("init.sh", "next.sh"))
        own = initrd(parts, script, then, first=_MODULES, later=())
        make_bootable(
            image,
            path,
            parts=parts,
            initrd=own + self._keys(base),
            arguments=_ARGUMENTS,
            size=SIZE,
            store=self._store,
            idmap=current(self._environment),
            sink=self._sink,
        )

    @staticmethod
    def _keys(base: Base) -> bytes:
        """Make the keys of a machine; return its half as an archive for the initrd."""
        host, client = new_key(), new_key()
        base.key.touch(mode=0o600)
        base.key.write_text(client.private)
        base.known.write_text(f"{base.alias} {host.public}\n")
        return cpio(
            [
                ("keys", 0o040755, b""),
                ("keys/authorized_keys", 0o100644, f"{client.public}\n".encode()),
                ("keys/host_key", 0o100600, host.private.encode()),
            ]
        )


def _read(folder: Path) -> Base:
    record = json.loads((folder / "base.json").read_bytes())
    return Base(folder, record["uuid"], record["name"])
