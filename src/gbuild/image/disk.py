"""An image as a disk: one ext4 file system without a partition table, in a sparse raw file.

It is made by ``mke2fs -d`` from the unpacked tree, as mapped root, so that nobody needs to be
root and every owner, mode, link and capability arrives. UUID, hash seed (the order in which folders
are listed) and all times are the image's own, not those of the moment or the host.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gbuild.errors import BackendFailure
from gbuild.host.idmap import IdMap
from gbuild.host.process import which
from gbuild.host.sandbox.trusted import run_trusted
from gbuild.host.store import Store
from gbuild.image import unpacked
from gbuild.model.event import Sink
from gbuild.model.image import Image

SIZE = 64 << 30
"""Bytes of the file system unless told otherwise; the file has holes where nothing lies."""

INODES = 2_000_000

_INSIDE = Path(__file__).parent / "inside" / "disk.py"
_OPTIONS = ("-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-L", "gbuild")
_FEATURES = "^has_journal,^metadata_csum,^64bit,^resize_inode,uninit_bg,dir_index,flex_bg"
_BLOCK = 4096
_SUPERBLOCK = 1024
_INODE = 256
_DESCRIPTOR = 32


def make_disk(
    image: Image,
    path: Path,
    *,
    store: Store,
    idmap: IdMap,
    sink: Sink,
    size: int = SIZE,
    offset: int = 0,
) -> None:
    """Write the image's tree as a file system of ``size`` bytes to the new file ``path``.

    It begins ``offset`` bytes (a multiple of the block, 4096) after the file's beginning.

    Raises:
        MissingTool: mke2fs is not installed.
        BackendFailure: it failed, as for want of room.
    """
    tool = which("mke2fs", package="e2fsprogs")
    date = image.environment.date
    seed = uuid.uuid5(uuid.NAMESPACE_OID, image.sha256)
    extended = f"hash_seed={seed},lazy_itable_init=1,nodiscard,root_owner=0:0"
    extended += f",offset={offset}" if offset else ""
    options = (*_OPTIONS, "-O", _FEATURES, "-U", str(seed), "-E", extended, "-N", str(INODES))
    with path.open("xb+") as out:
        os.fchown(out.fileno(), idmap.outside(0), idmap.gids[0][1])
        out.truncate(offset + size)
        with unpacked.tree(image, store=store, idmap=idmap, sink=sink) as tree:
            done = run_trusted(
                idmap,
                _INSIDE,
                (str(out.fileno()), str(tree), str(date), str(size >> 10), str(tool), *options),
                folders=(tree,),
                pass_fds=(out.fileno(),),
            )
        if done.returncode != 0:
            tail = done.stderr.decode(errors="replace").splitlines()[-20:]
            label = image.environment.label
            raise BackendFailure(f"the disk of {label} could not be made", details=tuple(tail))
        settle_times(out, date, offset)
        out.flush()
        os.fsync(out.fileno())
        os.fchown(out.fileno(), os.geteuid(), os.getegid())


def settle_times(disk: BinaryIO, date: int, offset: int = 0) -> None:
    """Give every inode the same times of access as of change of content, all others ``date``.

    mke2fs takes them from the host's tree, where they tell when it was unpacked. Offsets are those
    of the kernel's Documentation/filesystems/ext4: super block, group descriptors, inode table.
    """
    for place, count in _tables(disk, offset):
        disk.seek(place)
        table = bytearray(disk.read(count * _INODE))
        for start in range(0, len(table), _INODE):
            if table[start] or table[start + 1]:  # a mode: in use
                _settle(table, start, date)
        disk.seek(place)
        disk.write(table)


def _settle(table: bytearray, start: int, date: int) -> None:
    mtime = table[start + 16 : start + 20]
    table[start + 8 : start + 12] = mtime  # atime
    struct.pack_into("<I", table, start + 12, date)  # ctime
    extra = table[start + 136 : start + 140]
    table[start + 140 : start + 144] = extra  # its nanoseconds, of the atime
    struct.pack_into("<I", table, start + 132, 0)
    struct.pack_into("<II", table, start + 144, date, 0)  # when it was made


def _tables(disk: BinaryIO, offset: int) -> Iterator[tuple[int, int]]:
    """Yield the place of each group's inode table and how many of its inodes were ever used."""
    disk.seek(offset + _SUPERBLOCK)
    superblock = disk.read(1024)
    blocks, first = struct.unpack_from("<I", superblock, 4)[0], 0
    per_group, inodes = struct.unpack_from("<4xI4xI", superblock, 28)[0], 0
    inodes = struct.unpack_from("<I", superblock, 40)[0]
    groups = -(-(blocks - first) // per_group)
    disk.seek(offset + _BLOCK)
    descriptors = disk.read(groups * _DESCRIPTOR)
    for number in range(groups):
        table, unused = struct.unpack_from("<8xI16xH", descriptors, number * _DESCRIPTOR)
        if used := inodes - unused:
            yield offset + table * _BLOCK, used
