"""A stand-in's virtual disks, and what EFI firmware and a loader find on one.

A VDI of the stand-in is a head and the raw disk behind it, with its holes. Formats: UEFI
Specification (GPT), Microsoft's "FAT File System Specification", systemd's "Boot Loader
Specification", the kernel's early-userspace/buffer-format (cpio).
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = b"<<< Oracle VM VirtualBox Disk Image >>>\n"
_PLACE = 1 << 20
_SECTOR = 512
_EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le
_LISTED = re.compile(r"/(\d+)/(\d+)/\d+/\d+/([^/]*)/.*/")


class NoBoot(Exception):
    """Firmware or loader find nothing to go on with."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What the loader starts: the initrd's files by name, and where the second partition lies."""

    initrd: dict[str, bytes]
    arguments: str
    root: int


def convert(source: Path, dest: Path) -> None:
    """Make a VDI of a raw disk, holes and all."""
    with source.open("rb") as raw, dest.open("xb") as out:
        size = os.fstat(raw.fileno()).st_size
        out.write(_HEAD)
        out.truncate(_PLACE + size)
        at = 0
        while at < size:
            try:
                at = os.lseek(raw.fileno(), at, os.SEEK_DATA)
            except OSError:
                break  # only a hole is left
            end = os.lseek(raw.fileno(), at, os.SEEK_HOLE)
            while at < end:
                at += os.copy_file_range(raw.fileno(), out.fileno(), end - at, at, _PLACE + at)


def is_vdi(path: Path) -> bool:
    """Say whether a file is a VDI."""
    with path.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD


def boot(vdi: Path) -> Boot:
    """Do what firmware and loader do with a disk.

    Raises:
        NoBoot: it is not bootable.
    """
    with vdi.open("rb") as file:

        def read(at: int, count: int) -> bytes:
            file.seek(_PLACE + at)
            return file.read(count)

        first, second = _partitions(read(_SECTOR, _SECTOR), read(2 * _SECTOR, 128 * 128))
        files = dict(_fat(read(*first)))
    if not files.get("EFI/BOOT/BOOTX64.EFI"):
        raise NoBoot("no EFI/BOOT/BOOTX64.EFI: the firmware's shell waits for somebody")
    chosen = re.search(rb"^default (\S+)$", files["loader/loader.conf"], re.MULTILINE)
    if chosen is None:
        raise NoBoot("the loader has no default")
    entry = files[f"loader/entries/{chosen[1].decode()}"].decode()
    words = dict(line.split(maxsplit=1) for line in entry.splitlines())
    if words["linux"].lstrip("/") not in files:
        raise NoBoot(f"there is no {words['linux']}")
    initrd = dict(_cpio(files[words["initrd"].lstrip("/")]))
    return Boot(initrd, words["options"], _PLACE + second[0])


def extract(vdi: Path, place: int, dest: Path) -> None:
    """Unpack the ext4 file system at ``place`` of a disk, with owners and modes."""
    file = f"{vdi}?offset={place}"
    words = ["debugfs", "-R", f"rdump / {dest}", file]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folders = [path for path in dest.rglob("*") if path.is_dir() and not path.is_symlink()]
    names = [f'ls -p "/{folder.relative_to(dest)}"' for folder in folders]
    asked = "\n".join(f"{name}" for name in names)
    listed = subprocess.run(
        ["debugfs", "-f", "-", file], input=asked, text=True, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ).stdout  # fmt: skip
    # The owner is set after the mode, which takes set-uid bits away.
    at = dest
    for line in listed.splitlines():
        if line.startswith("debugfs: ls -p "):
            at = dest / line.partition('"/')[2].rstrip('"')
        elif (match := _LISTED.fullmatch(line)) and int(match[2], 8) & 0o106000 == 0o104000:
            (at / match[3]).chmod(int(match[2], 8) & 0o7777)


def _partitions(header: bytes, entries: bytes) -> list[tuple[int, int]]:
    signature, crc, check = header[:8], header[16:20], header[88:92]
    plain = header[:16] + bytes(4) + header[20:92]
    if signature != b"EFI PART" or struct.pack("<I", zlib.crc32(plain)) != crc:
        raise NoBoot("no partition table")
    if struct.pack("<I", zlib.crc32(entries)) != check:
        raise NoBoot("a damaged partition table")
    if entries[:16] != _EFI_SYSTEM:
        raise NoBoot("the first partition is no EFI system partition")
    found = []
    for at in (0, 128):
        first, last = struct.unpack_from("<QQ", entries, at + 32)
        found.append((first * _SECTOR, (last - first + 1) * _SECTOR))
    return found


def _fat(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a FAT16 volume."""
    sector, per, reserved, copies, entries = struct.unpack_from("<HBHBH", data, 11)
    table = struct.unpack_from("<H", data, 22)[0]
    root = (reserved + copies * table) * sector
    body = root + entries * 32
    size = per * sector

    def content(first: int) -> bytes:
        out = bytearray()
        while 2 <= first < 0xFFF8:
            out += data[body + (first - 2) * size : body + (first - 1) * size]
            first = struct.unpack_from("<H", data, reserved * sector + 2 * first)[0]
        return bytes(out)

    def walk(folder: bytes, above: str) -> Iterator[tuple[str, bytes]]:
        long = ""
        for at in range(0, len(folder), 32):
            entry = folder[at : at + 32]
            if not entry[0]:
                return
            if entry[11] == 0x0F:
                piece = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le")
                long = piece.partition("\0")[0] + long
                continue
            stem, suffix = entry[:8].decode().rstrip(), entry[8:11].decode().rstrip()
            name, long = long or (f"{stem}.{suffix}" if suffix else stem), ""
            first, length = struct.unpack_from("<HI", entry, 26)
            if entry[11] & 0x08 or name.startswith("."):
                continue
            if entry[11] & 0x10:
                yield from walk(content(first), f"{above}{name}/")
            else:
                yield f"{above}{name}", content(first)[:length]

    yield from walk(data[root:body], "")


def _cpio(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the files of archives one behind the other."""
    at = 0
    while data[at : at + 6] == b"070701":
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        name = data[at + 110 : at + 109 + length].decode()
        at += (110 + length + 3) // 4 * 4
        yield name, data[at : at + size]
        at += (size + 3) // 4 * 4
