"""What targets are made of: disks of images, kernel and initrd, in the store.

Layout below the store::

    kvm/disks/<image's key>/disk.raw    the image's file system; label.txt names the image
    kvm/boot/<key>/                     vmlinuz and initrd
    kvm/saved/<domain's name>/machine   one that waits for its order, as libvirt saved it
    kvm/<kind>/<name>.stamp             how each of these was when it was made (kept.py)
    kvm/targets/<id>/                   one target's own files
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.backends.kvm import kept
from gbuild.errors import BackendFailure, Busy, UsageFailure
from gbuild.host.idmap import current
from gbuild.host.store import Store
from gbuild.image.boot import boot_key, initrd, read_parts
from gbuild.image.disk import make_disk
from gbuild.image.provide import download_boot
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target.backend import Prepared

_HERE = Path(__file__).parent
_PART = "~"
"""Stands in the names of what is not whole yet."""


@dataclass(frozen=True, slots=True)
class Boot:
    """A kernel and its initrd in the store; ``key`` names their content."""

    key: str
    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initrd."""
        return self.folder / "initrd"


class Pieces:
    """Makes the pieces once, whoever asks first; a piece that has its name is whole."""

    def __init__(self, store: Store, environment: Mapping[str, str], sink: Sink) -> None:
        self._store = store
        self._environment = environment
        self._sink = sink
        self.root = store.root / "kvm"

    def disk(self, image: Image) -> Path:
        """Return the image's disk.

        Raises:
            MissingTool: mke2fs is not installed.
            BackendFailure: it could not be made.
        """
        label = image.environment.label

        def make(folder: Path) -> None:
            self._sink(Event("step", f"making the disk of {label}", {"job": label}))
            path = folder / "disk.raw"
            make_disk(
                image,
                path,
                store=self._store,
                idmap=current(self._environment),
                sink=self._sink,
            )
            path.chmod(0o444)
            (folder / "label.txt").write_text(f"{label}\n")

        folder = self._made("disks", image.key, make, f"the disk of {label}")
        kept.touch(folder)
        return folder / "disk.raw"

    def boot(self, image: Image) -> Boot:
        """Return kernel and initrd of the image's environment.

        Raises:
            UsageFailure: its lock has no boot section.
            Unavailable: the packages can be had nowhere.
        """
        environment = image.environment
        if not environment.boot:
            raise UsageFailure(
                f"the lock of {environment.label} has no kernel: its boot section is empty",
                hint="pin one: glock --boot DESCRIPTOR",
            )
        script, then = ((_HERE / name).read_text() for name in ("init.sh", "next.sh"))
        key = boot_key(environment.boot, script + then)

        def make(folder: Path) -> None:
            download_boot(
                environment,
                store=self._store,
                sink=self._sink,
                os_environment=self._environment,
            )
            parts = read_parts([self._store.verified(one.sha256) for one in environment.boot])
            (folder / "vmlinuz").write_bytes(parts.kernel)
            (folder / "initrd").write_bytes(initrd(parts, script, then))

        what = f"what machines of {environment.label} boot from"
        return Boot(key, self._made("boot", key, make, what))

    def prepared(self) -> tuple[Prepared, ...]:
        """List the disks."""
        folders = sorted((self.root / "disks").glob("*/label.txt"))
        return tuple(
            Prepared(
                key=path.parent.name,
                label=path.read_text().strip(),
                place=str(path.parent),
                used=kept.used(path.parent),
            )
            for path in folders
            if kept.kept(path.parent)
        )

    def discard(self, key: str, *, used: Callable[[str], bool], idle: Callable[[], bool]) -> bool:
        """Remove a disk, and with the last one all else when no target runs; say if there was one.

        Raises:
            Busy: ``used`` says that a target needs it, or one just starts.
        """
        folder = self.root / "disks" / key
        if not folder.is_dir():
            return False
        with self._store.lock(self.lock_name("disks", key), wait=0):
            if used(key):
                raise Busy(f"a target uses the image {key}", hint="gtarget list")
            kept.remove(folder)
        if not self.prepared() and idle():
            for kind in ("saved", "boot", "trials"):
                shutil.rmtree(self.root / kind, ignore_errors=True)
        return True

    @staticmethod
    def lock_name(kind: str, key: str) -> str:
        """Name the store's lock of one piece: shared by starts, alone for making and removing."""
        return f"kvm-{kind}-{key}"

    def prune(self, names: Callable[[], Container[str]]) -> Iterator[str]:
        """Remove what a killed process had begun to make; yield it.

        ``names`` tells the domains that may be about to be saved.
        """
        for part in sorted(self.root.glob(f"*/*{_PART}*")):
            kind, key = part.parent.name, part.name.partition(_PART)[0]
            try:
                with self._store.lock(self.lock_name(kind, key), wait=0):
                    if key not in names():
                        shutil.rmtree(part, ignore_errors=True)
                        yield str(part)
            except Busy:
                continue  # it is being made

    def _made(self, kind: str, key: str, make: Callable[[Path], None], what: str) -> Path:
        """Return a piece's folder, made unless it is there as it was made."""
        folder = self.root / kind / key
        if kept.unchanged(folder):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with self._store.lock(self.lock_name(kind, key)):
            if kept.unchanged(folder):
                return folder
            if kept.kept(folder):
                text = f"{what} was changed since it was made: making it anew"
                self._sink(Event("warning", text))
            kept.remove(folder)
            temporary = folder.with_name(f"{key}{_PART}{secrets.token_hex(4)}")
            try:
                temporary.mkdir(mode=0o755)
                make(temporary)
                temporary.rename(folder)
                kept.keep(folder)
            except OSError as error:
                raise BackendFailure(f"{folder} cannot be made", details=(str(error),)) from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return folder
