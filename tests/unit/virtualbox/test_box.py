"""Vagrant boxes: what is taken, and what would read files of this host."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import pytest

from gbuild.backends.virtualbox.box import pack, unpack
from gbuild.errors import UsageFailure

OVF = b'<Envelope><References><File ovf:href="disk.vmdk"/></References></Envelope>'


def vmdk(extents: str = 'RW 8 SPARSE "disk.vmdk"', *, size: int = 1) -> bytes:
    header = b"KDMV" + bytes(24) + struct.pack("<QQ", 1, size)
    text = f'# Disk DescriptorFile\ncreateType="streamOptimized"\n{extents}\n'
    return header.ljust(512, b"\0") + text.encode().ljust(512, b"\0") + b"data"


GOOD = {
    "./metadata.json": b'{"provider": "virtualbox"}',
    "./box.ovf": OVF,
    "./disk.vmdk": vmdk(),
    "./Vagrantfile": b"anything",
    "./include/_Vagrantfile": b"anything",
    "./info.json": b"anything",
}
FLAT = b'# Disk DescriptorFile\nRW 8 FLAT "/etc/shadow" 0\n'
OTHER = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><File ovf:href="/etc/shadow"/>'


def box(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "x.box"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def test_a_box_is_unpacked(tmp_path: Path, folder: Path) -> None:
    assert unpack(box(tmp_path, GOOD), folder) == folder / "box.ovf"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("Vagrantfile", "box.ovf", "disk.vmdk", "metadata.json"),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"./metadata.json": b'{"provider": "libvirt"}'}, "made for 'libvirt'"),
        ({"./metadata.json": b"[]"}, "made for None"),
        ({"./metadata.json": b"{"}, "cannot be read"),
        ({"./box.ovf": b'<File ovf:href="../disk.vmdk"/>'}, "names a file that is not in it"),
        ({"./box.ovf": b"<File ovf:href='/etc/shadow'/>"}, "names a file that is no disk"),
        ({"./box.ovf": b'<File href = "&#47;etc/x.vmdk"/>'}, "names a file that is not in it"),
        ({"./box.ovf": b'<File href="other.vmdk"/>'}, "names a file that is not in it"),
        ({"./box.ovf": b'<File href="metadata.json"/>'}, "names a file that is no disk"),
        ({"./box.ovf": OTHER.encode("utf-16")}, "not UTF-8"),
        ({"./box.ovf": OTHER.encode("utf-16-le")}, "not UTF-8"),
        ({"./box.ovf": OTHER.encode("utf-32-be")}, "not UTF-8"),
        ({"./box.ovf": OTHER.encode("cp500")}, "not UTF-8"),
        ({"./box.ovf": b"<?xml version='1.0' encoding = 'UTF-7'?>" + OVF}, "not UTF-8"),
        ({"./box.ovf": b"\xef\xbb\xbf<?xml encoding='latin1'?>" + OVF}, "not UTF-8"),
        ({"./box.ovf": b"<?xml version='1.0?>'  encoding='UTF-7'?>" + OVF}, "not UTF-8"),
        ({"./d.VMDK": FLAT}, "no box needs: 'd.VMDK'"),
        ({"./d.img": FLAT}, "no box needs: 'd.img'"),
        ({"./d.vmdk": FLAT}, "d.vmdk is no disk that holds its own data"),
        ({"./BOX.OVF": OVF}, "no box needs"),
        ({"./box.ovf": b'<!DOCTYPE x [<!ENTITY a "b">]>'}, "declares entities"),
        ({"./disk.vmdk": b'# Disk DescriptorFile\nRW 8 FLAT "/dev/sda" 0\n'}, "its own data"),
        ({"./disk.vmdk": vmdk('RW 8 FLAT "/dev/sda" 0')}, "takes data from another file"),
        ({"./disk.vmdk": vmdk('RW 8 SPARSE "a"\nRW 8 SPARSE "b"')}, "takes data from another file"),
        ({"./disk.vmdk": vmdk(size=1 << 40)}, "too large"),
        ({"./disk.vmdk": b"KDMV"}, "its own data"),
        ({"./..": b"x"}, "no plain file"),
        ({"./-x": b"x"}, "no plain file"),
        ({f"./{n}.mf": b"" for n in range(99)}, "more than 64 files"),
    ],
)
def test_what_is_no_good_box_is_refused(
    tmp_path: Path, folder: Path, changes: dict[str, bytes], says: str
) -> None:
    with pytest.raises(UsageFailure, match=says):
        unpack(box(tmp_path, {**GOOD, **changes}), folder)


@pytest.mark.parametrize("head", [b"", b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>'])
def test_what_virtualbox_writes_is_taken(tmp_path: Path, folder: Path, head: bytes) -> None:
    more = {"./box.ovf": head + OVF, "./box.mf": b"SHA1 ...", "./box.nvram": b"\0"}
    unpack(box(tmp_path, {**GOOD, **more}), folder)
    assert (folder / "box.nvram").read_bytes() == b"\0"


def test_a_link_is_refused(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "x.box"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("disk.vmdk")
        member.type, member.linkname = tarfile.SYMTYPE, "/dev/sda"
        archive.addfile(member)
    with pytest.raises(UsageFailure, match="no plain file"):
        unpack(path, folder)


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", gzip.compress(b"x" * 2000)[:30]],
    ids=["empty", "nonsense", "broken off"],
)
def test_no_archive(tmp_path: Path, folder: Path, data: bytes) -> None:
    path = tmp_path / "x.box"
    path.write_bytes(data)
    with pytest.raises(UsageFailure, match="no box that can be imported"):
        unpack(path, folder)


def test_what_is_packed_can_be_unpacked(tmp_path: Path, folder: Path) -> None:
    source, dest = tmp_path / "export", tmp_path / "y.box"
    source.mkdir()
    (source / "box.ovf").write_bytes(OVF)
    (source / "disk.vmdk").write_bytes(vmdk())
    pack(source, dest, mac="0800274B57A1")
    unpack(dest, folder)
    assert (folder / "disk.vmdk").read_bytes() == vmdk()
    assert 'base_mac = "0800274B57A1"' in (folder / "Vagrantfile").read_text()
    with pytest.raises(UsageFailure, match="exists already"):
        pack(source, dest, mac="")
    assert not list(tmp_path.glob(".*.part"))
