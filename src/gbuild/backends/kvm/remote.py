"""Another host on which machines run: asked and supplied by libvirt's calls alone."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path

from gbuild.backends.kvm import content, kept, pool
from gbuild.backends.kvm.acceleration import Kind
from gbuild.backends.kvm.address import Address
from gbuild.backends.kvm.library import Connect, load, told
from gbuild.backends.kvm.pieces import Boot, Pieces
from gbuild.backends.kvm.site import Made, Own, Owner
from gbuild.backends.kvm.volumes import Volumes, Why, owner
from gbuild.errors import Busy, MissingTool, UsageFailure
from gbuild.host.store import Store
from gbuild.image.disk import SIZE
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target.backend import Prepared, TargetSpec

_MEND_KVM = "sudo modprobe kvm_intel || sudo modprobe kvm_amd"


class There:
    """A host that SSH reaches. Its machines boot: states are not saved over there."""

    saves = False

    def __init__(
        self,
        address: Address,
        connect: Connect,
        pieces: Pieces,
        store: Store,
        *,
        pool_name: str,
        sink: Sink,
    ) -> None:
        self.address = address
        self._connect = connect
        self._pieces = pieces
        self._store = store
        self._pool_name = pool_name
        self._sink = sink

    @property
    def mark(self) -> str:
        """What stands for the store over there, where its folder may be another one's."""
        return owner(self._store)

    def refuse(self, spec: TargetSpec) -> None:
        """Refuse a network: nothing of libvirt over there keeps a machine from that host."""
        if spec.network:
            raise UsageFailure(
                f"targets on {self.address.host} have no network: libvirt's networks would let "
                "them reach services of that host itself",
                hint="without network: full; or on this host: --backend-option uri=qemu:///session",
            )

    def emulator(self) -> Path:
        """Return the QEMU that libvirt over there would take."""
        libvirt = load()
        try:
            text = self._connect().getDomainCapabilities(None, "x86_64", "pc", "qemu")
        except libvirt.libvirtError as error:
            raise MissingTool(
                f"{self.address.host} has no QEMU for x86_64",
                details=(str(error),),
                hint="over there: sudo apt-get install qemu-system-x86 qemu-utils",
            ) from error
        return Path(ET.fromstring(text).findtext("path", ""))  # noqa: S314 - libvirt's own

    def owner(self, kind: Kind) -> Owner:
        """Return whom a system's libvirt over there runs QEMU as unless it is told otherwise."""
        label = self._capabilities.findtext(
            f"host/secmodel[model='dac']/baselabel[@type='{kind}']", ""
        )
        user, _, group = label.replace("+", "").partition(":")
        return (int(user), int(group)) if user.isdecimal() and group.isdecimal() else None

    def processors(self) -> int:
        """Return that host's processors."""
        with told(f"libvirt of {self.address.host} does not describe its host"):
            return int(self._connect().getInfo()[2])

    def obstacle(self) -> str | None:
        """Return what would make libvirt over there offer KVM."""
        if self._capabilities.find("guest/arch[@name='x86_64']/domain[@type='kvm']") is not None:
            return None
        arch = self._capabilities.findtext("host/cpu/arch", "")
        return f"over there: {_MEND_KVM}" if arch == "x86_64" else f"its processor is {arch}"

    def now(self) -> str:
        """Return that host and today: its boots cannot be told apart."""
        host = self._capabilities.findtext("host/uuid", "")
        return f"{host} {time.strftime('%Y-%m-%d', time.gmtime())}"

    def held(self, token: str) -> Mapping[str, list[str]]:
        """Return pool and names of a target's volumes."""
        names = [self._volumes.name(token, what) for what in ("disk", "console")]
        return {"pool": [self._pool_name, self._volumes.uuid], "volumes": names}

    def made(self, boot: Boot, image: Image) -> Made:
        """Send over there what is not there yet."""
        label = image.environment.label
        disk = self._pieces.disk(image)
        return Made(
            kernel=self._sent(boot.kernel, "kernel", boot.key, label),
            initrd=self._sent(boot.initrd, "initrd", boot.key, label),
            disk=self._sent(disk, "disk", image.key, label),
        )

    def own(self, token: str, made: Made, owner: Owner) -> Own:
        """Make the volumes of a target."""
        make = partial(self._volumes.make, token, owner=owner)
        return Own(disk=make("disk", size=SIZE, base=made.disk), console=make("console", size=0))

    def said(self, token: str) -> bytes:
        """Return what a target's console said."""
        return self._volumes.text(self._volumes.name(token, "console"))

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images whose disks were sent there, and those that are ready to be."""
        found = self._found()
        there = tuple(
            Prepared(
                key=note.key,
                label=note.label,
                place=f"{self.address.host}: {self._pool_name}/{note.name}",
                used=note.used,
            )
            for note in (found.notes() if found else ())
            if note.kind == "disk"
        )
        known = {one.key for one in there}
        return (*there, *(one for one in self._pieces.prepared() if one.key not in known))

    def discard(self, key: str, *, used: Callable[[str], bool], idle: Callable[[], bool]) -> bool:
        """Remove an image's disk over there and here."""
        found = self._found()
        removed = found is not None and self._removed(found, key, used, idle)
        return self._pieces.discard(key, used=used, idle=idle) or removed

    def strays(self, tokens: Callable[[], frozenset[str]]) -> tuple[str, ...]:
        """Remove volumes that were half sent or belong to no known target; return them."""
        found = self._found()
        names = found.strays(tokens) if found else ()
        return tuple(f"volume {name} of {self.address.host}" for name in names)

    def _removed(
        self,
        volumes: Volumes,
        key: str,
        used: Callable[[str], bool],
        idle: Callable[[], bool],
    ) -> bool:
        with self._store.lock(self._pieces.lock_name("disks", key), wait=0):
            if used(key):
                raise Busy(f"a target uses the image {key}", hint="gtarget list")
            disks = [n for n in volumes.notes() if n.kind == "disk"]
            gone = [volumes.remove(note.name) for note in disks if note.key == key]
        if len(gone) == len(disks) and idle():
            for note in volumes.notes():
                volumes.remove(note.name)
        return any(gone)

    def _sent(self, path: Path, kind: str, key: str, label: str) -> Path:
        digest = kept.derived(path.parent, f"{path.name}.digest", lambda: content.digest_of(path))
        where = self.address.host

        def before(why: Why) -> None:
            if why == "changed":
                text = f"the {kind} of {label} was changed on {where} since it was sent"
                self._sink(Event("warning", f"{text}: sending it anew"))
            self._sink(Event("step", f"sending the {kind} of {label} to {where}", {"job": label}))

        return self._volumes.send(
            path,
            kind,
            digest=digest,
            key=key,
            label=label,
            mode="0444" if self.address.system else "0600",
            before=before,
        )

    @cached_property
    def _capabilities(self) -> ET.Element:
        with told(f"libvirt of {self.address.host} does not describe its host"):
            return ET.fromstring(self._connect().getCapabilities())  # noqa: S314 - libvirt's own

    @cached_property
    def _volumes(self) -> Volumes:
        """Return our volumes, in a pool that is made unless it is there."""
        made = pool.found_or_made(self._connect(), self._pool_name, self.address)
        return self._in(made)

    def _found(self) -> Volumes | None:
        """Return our volumes if there is a pool."""
        found = pool.find(self._connect(), self._pool_name, host=self.address.host)
        return self._in(found) if found else None

    def _in(self, found: pool.Pool) -> Volumes:
        with told(f"libvirt of {self.address.host} does not describe its pool"):
            uuid = found.UUIDString()
        host = self.address.host
        models = [one.text for one in self._capabilities.iterfind("host/secmodel/model")]
        return Volumes(
            self._connect,
            self._pool_name,
            uuid,
            host=host,
            store=self._store,
            relabelled="selinux" in models,
        )
