"""A FAT16 file system in memory, as EFI firmware reads it: the same files give the same bytes.

Layout: Microsoft, "FAT File System Specification"; long names: the same, "Long File Name
Implementation". Every file is contiguous, folders have one cluster, times are those of 1980.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gbuild.errors import BackendFailure

_SECTOR = 512
_CLUSTER = 4096
_RESERVED = 1
_ROOT_ENTRIES = 512
_SMALLEST = 4085
_LARGEST = 65524
"""Clusters of what is FAT16: fewer are FAT12, more are FAT32."""

_SHORT = re.compile(r"[A-Z0-9_]{1,8}(?:\.[A-Z0-9_]{1,3})?", re.ASCII)
_FOLDER, _FILE, _LONG = 0x10, 0x20, 0x0F
_DATE = 0x21  # the first of January 1980
_END = 0xFFFF


@dataclass(slots=True)
class _Folder:
    """A folder while the tree is laid out; ``first`` is 0 for the root."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)
    first: int = 0


class _Volume:
    """Hands out clusters one after the other."""

    def __init__(self, clusters: int) -> None:
        self.clusters = clusters
        self.chain = [0xFFF8, _END]
        self.data = bytearray()

    def add(self, content: bytes) -> int:
        """Store content and return its first cluster: 0 for nothing.

        Raises:
            BackendFailure: there is no room.
        """
        count = -(-len(content) // _CLUSTER)
        if not count:
            return 0
        first = len(self.chain)
        if first + count - 2 > self.clusters:
            raise BackendFailure("kernel and initrd do not fit the partition that a machine boots")
        self.chain += [*range(first + 1, first + count), _END]
        self.data += content.ljust(count * _CLUSTER, b"\0")
        return first


def fat16(files: Mapping[str, bytes], *, size: int, label: str, serial: int) -> bytes:
    """Return a volume of ``size`` bytes with these files, by their paths ("EFI/BOOT/A.EFI").

    Raises:
        BackendFailure: they do not fit.
        ValueError: the size is none of a FAT16.
    """
    sectors = size // _SECTOR
    per_cluster = _CLUSTER // _SECTOR
    table = -(-(sectors // per_cluster + 2) * 2 // _SECTOR)
    root_sectors = _ROOT_ENTRIES * 32 // _SECTOR
    clusters = (sectors - _RESERVED - 2 * table - root_sectors) // per_cluster
    if not _SMALLEST <= clusters <= _LARGEST:
        raise ValueError(size)
    volume = _Volume(clusters)
    root = _tree(files)
    entries = _entry(label.upper().ljust(11).encode(), 0x08, 0, 0) + _listed(root, 0, volume)
    chain = struct.pack(f"<{len(volume.chain)}H", *volume.chain).ljust(table * _SECTOR, b"\0")
    head = _boot_sector(sectors, per_cluster, table, label, serial)
    whole = head + chain * 2 + entries.ljust(_ROOT_ENTRIES * 32, b"\0") + bytes(volume.data)
    return whole.ljust(size, b"\0")


def _boot_sector(sectors: int, per_cluster: int, table: int, label: str, serial: int) -> bytes:
    small = sectors if sectors < 0x10000 else 0
    head = b"\xeb\x3c\x90" + b"GBUILD  "
    head += struct.pack("<HBHBHHBHHHI", _SECTOR, per_cluster, _RESERVED, 2, _ROOT_ENTRIES, small,
                        0xF8, table, 32, 64, 0)  # fmt: skip
    head += struct.pack("<IBBBI", 0 if small else sectors, 0x80, 0, 0x29, serial)
    head += label.upper().ljust(11).encode() + b"FAT16   "
    return head.ljust(510, b"\0") + b"\x55\xaa"


def _tree(files: Mapping[str, bytes]) -> _Folder:
    root = _Folder()
    for path, content in sorted(files.items()):
        *above, name = path.split("/")
        place = root
        for part in above:
            place = place.folders.setdefault(part, _Folder())
        place.files[name] = content
    return root


def _listed(folder: _Folder, parent: int, volume: _Volume) -> bytes:
    """Return a folder's entries, all that is below it having its place in the volume."""
    out = bytearray()
    names: set[bytes] = set()
    for name, below in sorted(folder.folders.items()):
        # A folder's place is known before what is in it: that refers to it.
        below.first = volume.add(b"\0" * _CLUSTER)
        inner = _entry(b".".ljust(11), _FOLDER, below.first, 0)
        inner += _entry(b"..".ljust(11), _FOLDER, parent, 0)
        inner += _listed(below, below.first, volume)
        if len(inner) > _CLUSTER:
            raise BackendFailure(f"too many files in the folder {name} of a boot partition")
        start = (below.first - 2) * _CLUSTER
        volume.data[start : start + len(inner)] = inner
        out += b"".join(_named(name, _FOLDER, below.first, 0, names))
    for name, content in sorted(folder.files.items()):
        out += b"".join(_named(name, _FILE, volume.add(content), len(content), names))
    return bytes(out)


def _named(name: str, kind: int, first: int, size: int, names: set[bytes]) -> Iterator[bytes]:
    """Yield the entries of one name: those of the long name before the short one's."""
    if _SHORT.fullmatch(name):
        stem, _, suffix = name.partition(".")
        short = stem.ljust(8).encode() + suffix.ljust(3).encode()
    else:
        short = _shortened(name, names)
        yield from _long(name, short)
    names.add(short)
    yield _entry(short, kind, first, size)


def _shortened(name: str, names: set[bytes]) -> bytes:
    stem, _, suffix = name.upper().partition(".")
    for number in range(1, 10):
        short = f"{stem[:6]}~{number}".ljust(8).encode() + suffix[:3].ljust(3).encode()
        if short not in names:
            return short
    raise BackendFailure(f"too many names like {name} in a boot partition")


def _long(name: str, short: bytes) -> Iterator[bytes]:
    check = 0
    for byte in short:
        check = ((check & 1) << 7) + (check >> 1) + byte & 0xFF
    units = name.encode("utf-16-le")
    if len(units) % 26:
        units = (units + b"\0\0").ljust(-(-len(units) // 26) * 26, b"\xff")
    pieces = [units[at : at + 26] for at in range(0, len(units), 26)]
    for number in range(len(pieces), 0, -1):
        piece = pieces[number - 1]
        order = number | (0x40 if number == len(pieces) else 0)
        head = struct.pack("<B10sBBB", order, piece[:10], _LONG, 0, check)
        yield head + piece[10:22] + b"\0\0" + piece[22:]


def _entry(short: bytes, kind: int, first: int, size: int) -> bytes:
    return struct.pack("<11sB8xHHHHI", short, kind, 0, 0, _DATE, first, size)
