"""What machines of another host are made of: volumes of a storage pool over there.

All goes there by libvirt's own calls. A volume that is sent once is called after what it holds::

    gbuild-<owner>-<kind>-<digest>     kind: disk, kernel or initrd; digest: see content.py
    gbuild-<owner>-run-<token>-<what>  one target's own: disk (qcow2 over a disk) or console

``owner`` stands for a store: nobody uses or removes what another store has sent. libvirt cannot
rename a volume, so one that was cut off has its name, too; and who may write over there could
change one. So a store notes how each was once it was whole and had been read back (as kept.py does
for files of this host): times, size, mode and owners, which libvirt tells.
"""

from __future__ import annotations

import json
import os
import secrets
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from gbuild.backends.kvm import content
from gbuild.backends.kvm.library import Connect, Connection, answered, load, told
from gbuild.errors import BackendFailure, Bug, Busy, GbuildError
from gbuild.host.files import write_atomically
from gbuild.host.store import Store

Volume = Any
"""A ``libvirt.virStorageVol``."""

Why = Literal["missing", "changed"]
"""Why a volume is sent."""

_HOLE = -3
"""What libvirt's streams return where a hole begins."""

_SEEN = ("capacity", "target/permissions", "target/timestamps")
"""What tells that nobody wrote to a volume; how much room it takes may settle later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a store knows of a whole volume; ``used`` in seconds since the epoch."""

    name: str
    kind: str
    key: str
    label: str
    used: float


class Volumes:
    """One store's volumes in one pool.

    Args:
        connect: returns a connection that lives.
        pool: the pool's name; ``uuid`` is its own.
        host: its host's name in errors.
        store: where notes and locks lie.
        relabelled: libvirt over there gives files other labels (SELinux): that changes their ctime.
    """

    def __init__(
        self,
        connect: Connect,
        pool: str,
        uuid: str,
        *,
        host: str,
        store: Store,
        relabelled: bool = False,
    ) -> None:
        self._ignored = ("atime", "ctime") if relabelled else ("atime",)
        self.uuid = uuid
        self._connect = connect
        self._pool_name = pool
        self._host = host
        self._store = store
        self._notes = store.root / "kvm" / "elsewhere" / uuid
        self._beginning = f"gbuild-{owner(store)}-"

    def send(
        self, path: Path, kind: str, *, digest: str, key: str, label: str, mode: str,
        before: Callable[[Why], None],
    ) -> Path:  # fmt: skip
        """Return the path over there of a volume that holds what a file holds.

        It is sent unless it is there, whole and as it was then; ``before`` is called before, and
        told why. ``key`` and ``label`` are noted with it.

        Raises:
            BackendFailure: it could not be sent, or is not there what was sent.
        """
        name = f"{self._beginning}{kind}-{digest}"
        with self._store.lock(f"kvm-{name}"):
            volume, noted = self._find(name), self._noted(name)
            if volume is not None and noted == _seen(volume, self._ignored):
                os.utime(self._note(name))
                return _path(volume)
            before("changed" if volume is not None and noted is not None else "missing")
            self.remove(name)
            with self._undone(name):
                volume = self._create(name, size=path.stat().st_size, mode=mode)
                self._upload(path, volume)
                if _read_back(volume) != digest:
                    text = f"{self._host} does not give back the {kind} that was sent there"
                    raise BackendFailure(text, hint="look for errors of its disk")
                self._write(name, kind, key, label, _seen(volume, self._ignored))
            return _path(volume)

    def make(
        self, token: str, what: str, *, size: int, owner: tuple[int, int] | None,
        base: Path | None = None,
    ) -> Path:  # fmt: skip
        """Make one of a target's own volumes, over ``base`` or empty; return its path.

        Raises:
            BackendFailure: libvirt refused.
        """
        name = self.name(token, what)
        return _path(self._create(name, size=size, mode="0600", owner=owner, base=base))

    def name(self, token: str, what: str) -> str:
        """Return the name of one of a target's own volumes."""
        return f"{self._beginning}run-{token}-{what}"

    def text(self, name: str) -> bytes:
        """Return what a small volume holds now.

        Raises:
            BackendFailure: it is not there, or cannot be read.
        """
        volume = self._find(name)
        if volume is None:
            raise BackendFailure(f"{self._host} has no volume {name}")
        pieces: list[bytes] = []
        _download(volume, pieces.append, lambda length: pieces.append(bytes(length)))
        return b"".join(pieces)

    def remove(self, name: str) -> bool:
        """Remove a volume of ours, and its note first; say whether there was one.

        Raises:
            Bug: it is not ours.
            BackendFailure: it stays.
        """
        if not name.startswith(self._beginning):
            raise Bug(f"the volume {name} is not this store's")
        self._note(name).unlink(missing_ok=True)
        return answered(self._connect, lambda connection: self._removed(connection, name))

    def notes(self) -> tuple[Note, ...]:
        """Return what was sent and is there."""
        there = self.names()
        paths = sorted(self._notes.glob("*.json")) if self._notes.is_dir() else ()
        return tuple(
            Note(
                name=path.stem, kind=fields["kind"], key=fields["key"], label=fields["label"],
                used=path.stat().st_mtime,
            )
            for path in paths
            if path.stem in there and (fields := json.loads(path.read_text()))
        )  # fmt: skip

    def names(self) -> tuple[str, ...]:
        """Return the names of all that is ours over there, whole or not."""
        with told(f"{self._host} does not list its volumes"):
            found = sorted(volume.name() for volume in self._pool().listAllVolumes(0))
        return tuple(name for name in found if name.startswith(self._beginning))

    def strays(self, tokens: Callable[[], frozenset[str]]) -> Iterator[str]:
        """Remove what was begun to be sent, and what targets have that nobody knows; yield names.

        ``tokens`` tells the targets that are known: a target is known before it has a volume.
        """
        names = self.names()
        known = tokens()
        for name in names:
            kind, _, rest = name.removeprefix(self._beginning).partition("-")
            if kind == "run":
                gone = rest.rpartition("-")[0] not in known and self.remove(name)
            else:
                gone = self._removed_half(name)
            if gone:
                yield name

    def _removed_half(self, name: str) -> bool:
        """Remove what was begun to be sent unless it is being sent now; say whether it was."""
        try:
            with self._store.lock(f"kvm-{name}", wait=0):
                return not self._note(name).exists() and self.remove(name)
        except Busy:
            return False

    def _pool(self) -> Any:  # noqa: ANN401 - libvirt has no types
        return self._connect().storagePoolLookupByName(self._pool_name)

    def _removed(self, connection: Connection, name: str) -> bool:
        volume = self._found(connection, name)
        if volume is not None:
            with told(f"{self._host} does not remove the volume {name}"):
                volume.delete(0)
        return volume is not None

    def _find(self, name: str) -> Volume | None:
        return answered(self._connect, lambda connection: self._found(connection, name))

    def _found(self, connection: Connection, name: str) -> Volume | None:
        libvirt = load()
        try:
            return connection.storagePoolLookupByName(self._pool_name).storageVolLookupByName(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (
                libvirt.VIR_ERR_NO_STORAGE_VOL,
                libvirt.VIR_ERR_NO_STORAGE_POOL,
            ):
                return None
            text = f"libvirt of {self._host} does not answer"
            raise BackendFailure(text, details=(str(error),)) from error

    def _create(
        self, name: str, *, size: int, mode: str, owner: tuple[int, int] | None = None,
        base: Path | None = None,
    ) -> Volume:  # fmt: skip
        xml = _volume(name, size=size, mode=mode, owner=owner, base=base)
        with self._room(f"{self._host} makes no volume {name}"):
            return self._pool().createXML(xml, 0)

    def _upload(self, path: Path, volume: Volume) -> None:
        libvirt, size, at = load(), path.stat().st_size, 0
        with self._room(f"what machines need could not be sent to {self._host}"):
            stream = self._connect().newStream(0)
            volume.upload(stream, 0, size, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
            for offset, block in content.blocks(path):
                if offset > at:
                    stream.sendHole(offset - at)
                _send(stream, block)
                at = offset + len(block)
            if at < size:
                stream.sendHole(size - at)
            stream.finish()

    @contextmanager
    def _room(self, what: str) -> Iterator[None]:
        """Say of an error whether it is for want of room."""
        try:
            with told(what):
                yield
        except BackendFailure as error:
            if "No space left" not in "".join(error.details) and "quota" not in str(error.details):
                raise
            text = f"the pool {self._pool_name} of {self._host} has no room left"
            hint = "free some over there (gbase list, gbase remove), or --backend-option pool=OTHER"
            raise BackendFailure(text, details=error.details, hint=hint) from error

    @contextmanager
    def _undone(self, name: str) -> Iterator[None]:
        """Leave nothing of a volume that does not become whole; what stays prune finds."""
        try:
            yield
        except BaseException:
            with suppress(GbuildError):
                self.remove(name)
            raise

    def _note(self, name: str) -> Path:
        return self._notes / f"{name}.json"

    def _noted(self, name: str) -> str | None:
        path = self._note(name)
        return str(json.loads(path.read_text())["seen"]) if path.exists() else None

    def _write(self, name: str, kind: str, key: str, label: str, seen: str) -> None:
        self._notes.mkdir(parents=True, exist_ok=True)
        fields = {"kind": kind, "key": key, "label": label, "seen": seen}
        write_atomically(self._note(name), json.dumps(fields).encode())


def owner(store: Store) -> str:
    """Return what stands for a store on other hosts: made up once, and kept in it."""
    path = store.root / "kvm" / "owner"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with store.lock("kvm-owner"):
            if not path.exists():
                write_atomically(path, secrets.token_hex(6).encode())
    return path.read_text()


def _volume(
    name: str, *, size: int, mode: str, owner: tuple[int, int] | None, base: Path | None
) -> str:
    """Describe a volume (libvirt's manual, "Storage volume XML format")."""
    who = f"<owner>{owner[0]}</owner><group>{owner[1]}</group>" if owner else ""
    over = ""
    if base is not None:
        over = f'<backingStore><path>{escape(str(base))}</path><format type="raw"/></backingStore>'
    return (
        f'<volume><name>{escape(name)}</name><capacity unit="bytes">{size}</capacity>'
        f'<allocation>0</allocation><target><format type="{"qcow2" if base else "raw"}"/>'
        f"<permissions><mode>{mode}</mode>{who}</permissions></target>{over}</volume>"
    )


def _seen(volume: Volume, ignored: Collection[str]) -> str:
    """Return what tells whether a volume was changed since, by its host's own account."""
    with told("libvirt does not describe a volume"):
        tree = ET.fromstring(volume.XMLDesc(0))  # noqa: S314 - libvirt's own
    texts = [
        f"{one.tag}={(one.text or '').strip()}"
        for path in _SEEN
        for part in tree.iterfind(path)
        for one in part.iter()
        if one.tag not in ignored
    ]
    return " ".join(texts)


def _path(volume: Volume) -> Path:
    with told("libvirt does not say where a volume is"):
        return Path(volume.path())


def _send(stream: Any, block: bytes) -> None:  # noqa: ANN401 - libvirt has no types
    view = memoryview(block)
    while view:
        view = view[stream.send(bytes(view)) :]


def _read_back(volume: Volume) -> str:
    """Return the digest of what a volume holds."""
    with told("libvirt does not describe a volume"):
        size = int(volume.info()[1])
    sorter = content.Sorter(size)
    _download(volume, sorter.data, sorter.hole)
    return sorter.hex()


def _download(volume: Volume, data: Callable[[bytes], None], hole: Callable[[int], None]) -> None:
    libvirt = load()
    with told("a volume cannot be read back"):
        stream = volume.connect().newStream(0)
        volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        while piece := stream.recvFlags(content.BLOCK, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE):
            if piece == _HOLE:
                hole(stream.recvHole(0))
            else:
                data(piece)
        stream.finish()
