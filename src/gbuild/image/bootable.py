"""An image as a disk that a machine boots by itself: EFI firmware, a loader, kernel, root.

The disk has a GUID partition table with two partitions: the EFI system partition, whose removable
media path holds the loader, and the image's file system. Format of the table: UEFI Specification,
"GUID Partition Table (GPT) Disk Layout"; of the loader's files: systemd's "Boot Loader
Specification".
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.image.boot import Parts
from gbuild.image.disk import make_disk
from gbuild.image.fat import fat16
from gbuild.model.event import Sink
from gbuild.model.image import Image

ROOT = 2
"""Number of the partition that holds the image's file system."""

_SECTOR = 512
_ALIGNED = 1 << 20
_BOOT_SIZE = 96 << 20
_ROOT_PLACE = _ALIGNED + _BOOT_SIZE
_ENTRIES = 128
_TABLE = _ENTRIES * 128
_EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def make_bootable(
    image: Image,
    path: Path,
    *,
    parts: Parts,
    initrd: bytes,
    arguments: str,
    size: int,
    store: Store,
    idmap: IdMap,
    sink: Sink,
) -> None:
    """Write a disk to the new file ``path``; ``size`` bytes are those of the image's file system.

    Raises:
        UsageFailure: the boot packages hold no loader.
        MissingTool, BackendFailure: see :func:`gbuild.image.disk.make_disk`.
    """
    if not parts.loader:
        raise UsageFailure(
            f"the lock of {image.environment.label} has no boot loader in its boot section",
            hint="pin one, which the newer suites have: glock --boot DESCRIPTOR",
        )
    seed = uuid.uuid5(uuid.NAMESPACE_OID, image.sha256)
    boot = fat16(
        boot_files(parts, initrd, arguments), size=_BOOT_SIZE, label="gbuild", serial=seed.time_low
    )
    make_disk(image, path, store=store, idmap=idmap, sink=sink, size=size, offset=_ROOT_PLACE)
    with path.open("rb+") as disk:
        disk.truncate(_ROOT_PLACE + size + _ALIGNED)
        disk.seek(_ALIGNED)
        disk.write(boot)
        places = ((_ALIGNED, _BOOT_SIZE), (_ROOT_PLACE, size))
        for place, data in partition_table(places, _ROOT_PLACE + size + _ALIGNED, seed):
            disk.seek(place)
            disk.write(data)


def boot_files(parts: Parts, initrd: bytes, arguments: str) -> dict[str, bytes]:
    """Return the files of the EFI system partition."""
    entry = f"title gbuild\nlinux /vmlinuz\ninitrd /initrd\noptions {arguments}\n"
    return {
        "EFI/BOOT/BOOTX64.EFI": parts.loader,
        "loader/loader.conf": b"default gbuild.conf\ntimeout 0\neditor no\n",
        "loader/entries/gbuild.conf": entry.encode(),
        "vmlinuz": parts.kernel,
        "initrd": initrd,
    }


def partition_table(
    places: Sequence[tuple[int, int]], size: int, seed: uuid.UUID
) -> list[tuple[int, bytes]]:
    """Return (offset, bytes) of a disk's tables; ``places`` are (offset, bytes) of partitions.

    The first is the EFI system partition. Names of disk and partitions follow from ``seed``.
    """
    last = size // _SECTOR - 1
    entries = b""
    for number, (place, length) in enumerate(places):
        kind = _LINUX if number else _EFI_SYSTEM
        own = uuid.uuid5(seed, f"partition {number + 1}")
        first = place // _SECTOR
        entries += struct.pack("<16s16sQQQ", kind.bytes_le, own.bytes_le, first,
                               first + length // _SECTOR - 1, 0)  # fmt: skip
        entries += ("root" if number else "EFI").encode("utf-16-le").ljust(72, b"\0")
    entries = entries.ljust(_TABLE, b"\0")
    behind = last - _TABLE // _SECTOR
    return [
        (0, _protective(last)),
        (_SECTOR, _header(1, last, 2, entries, seed)),
        (2 * _SECTOR, entries),
        (behind * _SECTOR, entries),
        (last * _SECTOR, _header(last, 1, behind, entries, seed)),
    ]


def _protective(last: int) -> bytes:
    entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1,
                        min(last, 0xFFFFFFFF))  # fmt: skip
    return bytes(446) + entry.ljust(64, b"\0") + b"\x55\xaa"


def _header(own: int, other: int, table: int, entries: bytes, seed: uuid.UUID) -> bytes:
    usable = (2 + _TABLE // _SECTOR, max(own, other) - _TABLE // _SECTOR - 1)
    fields = (own, other, *usable, seed.bytes_le, table, _ENTRIES, 128, zlib.crc32(entries))

    def packed(crc: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, *fields)

    return packed(zlib.crc32(packed(0))).ljust(_SECTOR, b"\0")
