"""Vagrant's boxes for VirtualBox: a tar archive of metadata.json, box.ovf, disks and a Vagrantfile.

The format is that of Vagrant's documentation ("Box File Format", "VirtualBox: Base Boxes"). A box
is foreign: what is unpacked are plain files of one folder with names that are known, the disks must
hold their own data (a VMDK may name any other file of this host as its content), and the OVF may
name nothing but them, in an encoding in which that can be seen.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import struct
import tarfile
from pathlib import Path

from gbuild.errors import HostFailure, UsageFailure

OVF = "box.ovf"

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_TAKEN = frozenset({OVF, "metadata.json", "Vagrantfile"})
_TAKEN_SUFFIXES = (".vmdk", ".mf", ".nvram")
_LEFT_OUT = frozenset({"info.json", "vagrant_private_key"})
"""What boxes have beside these, for Vagrant alone: it is not unpacked."""
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']?([^\"'\s?>]*)")
_HREF = re.compile(rb"href\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_EXTENT = re.compile(r"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)", re.MULTILINE)
_SPARSE = b"KDMV"
_SECTOR = 512
_LARGEST_TEXT = 4 << 20
_MOST_FILES = 64


def unpack(box: Path, folder: Path) -> Path:
    """Unpack a box into an empty folder and return its OVF.

    Raises:
        UsageFailure: it is no box for VirtualBox, or one that would read files of this host.
        HostFailure: there is no room.
    """
    try:
        with tarfile.open(box, "r:*") as archive:
            _extract(archive, folder, box)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise HostFailure(f"{box.name} cannot be unpacked: {error.strerror}") from error
        raise _refusal(box, f"it is not an archive that tar can read: {error}") from error
    _check_metadata(box, folder)
    ovf = folder / OVF
    if not ovf.is_file():
        raise _refusal(box, f"it has no {OVF}")
    _check_ovf(box, ovf)
    for path in folder.iterdir():
        if path.suffix == ".vmdk":
            _check_disk(box, path)
    return ovf


def pack(folder: Path, dest: Path, *, mac: str) -> None:
    """Write the box of an exported machine: ``mac`` is that of its first network card.

    Raises:
        UsageFailure: ``dest`` is there already.
    """
    if dest.exists():
        raise UsageFailure(f"{dest} exists already", hint="move it away")
    texts = {
        "metadata.json": json.dumps({"provider": "virtualbox"}) + "\n",
        "Vagrantfile": f'Vagrant.configure("2") do |config|\n  config.vm.base_mac = "{mac}"\nend\n',
    }
    half = dest.with_name(f".{dest.name}.part")
    try:
        with (
            half.open("xb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive,
        ):
            for name, text in texts.items():
                _add(archive, name, io.BytesIO(text.encode()), len(text))
            for path in sorted(folder.iterdir()):
                with path.open("rb") as data:
                    _add(archive, path.name, data, path.stat().st_size)
        half.rename(dest)
    finally:
        half.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, data: io.BufferedIOBase, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, data)


def _extract(archive: tarfile.TarFile, folder: Path, box: Path) -> None:
    for number, member in enumerate(archive):
        name = member.name.removeprefix("./")
        if number > _MOST_FILES:
            raise _refusal(box, f"it holds more than {_MOST_FILES} files")
        if member.isdir() or "/" in name or name in _LEFT_OUT:
            continue  # such as include/, which only Vagrant reads
        if not member.isreg() or not _PLAIN.fullmatch(name):
            raise _refusal(box, f"it holds something that is no plain file: {ascii(name)[:100]}")
        if name not in _TAKEN and not name.endswith(_TAKEN_SUFFIXES):
            raise _refusal(box, f"it holds a file that no box needs: {ascii(name)[:100]}")
        free = os.statvfs(folder)
        if member.size > free.f_bavail * free.f_frsize:
            raise HostFailure(f"there is no room for {name} of {box.name}: {member.size} bytes")
        data = archive.extractfile(member)
        with (folder / name).open("xb") as out:
            if data is not None:
                shutil.copyfileobj(data, out, 1 << 20)


def _check_metadata(box: Path, folder: Path) -> None:
    """Look for which program the box is; the oldest boxes, all of VirtualBox, do not say."""
    path = folder / "metadata.json"
    if not path.exists():
        return
    try:
        metadata = json.loads(_text(box, path))
    except ValueError as error:
        raise _refusal(box, "its metadata.json cannot be read") from error
    provider = metadata.get("provider") if isinstance(metadata, dict) else None
    if provider != "virtualbox":
        raise _refusal(box, f"it is made for {ascii(provider)[:60]}")


def _check_ovf(box: Path, ovf: Path) -> None:
    data = _text(box, ovf)
    if not _is_utf8(data):
        raise _refusal(box, f"its {OVF} is not UTF-8")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise _refusal(box, f"its {OVF} declares entities")
    for match in _HREF.finditer(data):
        name = (match[1] or match[2] or b"").decode(errors="replace")
        if not name.endswith(".vmdk"):
            raise _refusal(box, f"its {OVF} names a file that is no disk: {ascii(name)[:100]}")
        if not _PLAIN.fullmatch(name) or not (ovf.parent / name).is_file():
            raise _refusal(box, f"its {OVF} names a file that is not in it: {ascii(name)[:100]}")


def _is_utf8(data: bytes) -> bool:
    """Say whether an XML reader takes these bytes as the text that they are as UTF-8.

    It recognizes others by their first bytes or by the declaration (XML 1.0, appendix F).
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text and {name.lower() for name in _ENCODING.findall(data)} <= {b"utf-8"}


def _check_disk(box: Path, path: Path) -> None:
    """Make sure that a disk holds its own data: one sparse extent, and a descriptor inside.

    Header: VMware, "Virtual Disk Format", "Hosted Sparse Extent Header": the descriptor's place and
    length in sectors are at the bytes 28 and 36.
    """
    with path.open("rb") as disk:
        header = disk.read(_SECTOR)
        if len(header) < _SECTOR or header[:4] != _SPARSE:
            raise _refusal(box, f"{path.name} is no disk that holds its own data")
        offset, size = struct.unpack_from("<QQ", header, 28)
        if size * _SECTOR > _LARGEST_TEXT:
            raise _refusal(box, f"the descriptor of {path.name} is too large")
        disk.seek(offset * _SECTOR)
        text = disk.read(size * _SECTOR).rstrip(b"\0").decode("latin-1")
    if _EXTENT.findall(text) != ["SPARSE"]:
        raise _refusal(box, f"the disk {path.name} takes data from another file")


def _text(box: Path, path: Path) -> bytes:
    if path.stat().st_size > _LARGEST_TEXT:
        raise _refusal(box, f"its {path.name} is too large")
    return path.read_bytes()


def _refusal(box: Path, why: str) -> UsageFailure:
    return UsageFailure(f"{box.name} is no box that can be imported: {why}")
