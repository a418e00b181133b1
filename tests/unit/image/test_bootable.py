"""What a machine boots from, read back by a reader of its own (the stand-in's firmware)."""

from __future__ import annotations

import uuid
import zlib

import pytest
from tests.integration.virtualbox.standin import disk as firmware

from gbuild.errors import BackendFailure
from gbuild.image.boot import Parts, cpio
from gbuild.image.bootable import boot_files, partition_table
from gbuild.image.fat import fat16

_SIZE = 32 << 20
_FILES = {
    "EFI/BOOT/BOOTX64.EFI": b"l" * 5000,
    "loader/entries/gbuild.conf": b"title x\n",
    "loader/loader.conf": b"",
    "a name of more than thirteen letters.text": b"x",
    "initrd": bytes(range(256)) * 4096,
}


def _volume(files: dict[str, bytes]) -> bytes:
    return fat16(files, size=_SIZE, label="gbuild", serial=7)


def test_files_are_read_as_they_were_written() -> None:
    volume = _volume(_FILES)
    assert len(volume) == _SIZE
    assert dict(firmware._fat(volume)) == _FILES
    assert volume == _volume(dict(reversed(_FILES.items())))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BackendFailure, match="do not fit"):
        _volume({"vmlinuz": bytes(_SIZE)})
    many = {f"number-{n}-of-many.text": b"" for n in range(10)}
    with pytest.raises(BackendFailure, match="too many names like"):
        _volume({f"EFI/{name}": data for name, data in many.items()})
    with pytest.raises(ValueError, match="1048576"):
        fat16({}, size=1 << 20, label="gbuild", serial=7)


def test_the_partition_table_is_the_same_at_both_ends() -> None:
    size = 200 << 20
    places = ((1 << 20, 96 << 20), (97 << 20, 100 << 20))
    disk = bytearray(size)
    for place, data in partition_table(places, size, uuid.UUID(int=1)):
        disk[place : place + len(data)] = data
    assert disk[510:512] == b"\x55\xaa"
    assert disk[446 + 4] == 0xEE
    found = firmware._partitions(bytes(disk[512:1024]), bytes(disk[1024 : 1024 + 128 * 128]))
    assert found == list(places)
    spare = bytes(disk[-512:])
    assert spare[:8] == b"EFI PART"
    plain = spare[:16] + bytes(4) + spare[20:92]
    assert int.from_bytes(spare[16:20], "little") == zlib.crc32(plain)
    assert int.from_bytes(spare[24:32], "little") == size // 512 - 1
    assert disk[-512 - 128 * 128 : -512] == disk[1024 : 1024 + 128 * 128]


def test_the_loader_is_told_kernel_initrd_and_arguments() -> None:
    parts = Parts(kernel=b"k", release="1", modules={}, busybox=b"", loader=b"l")
    initrd = cpio([("next", 0o100644, b"n")]) + cpio([("keys/a", 0o100600, b"k")])
    files = boot_files(parts, initrd, "console=ttyS0 quiet")
    assert files["vmlinuz"] == b"k"
    assert b"options console=ttyS0 quiet\n" in files["loader/entries/gbuild.conf"]
    assert dict(firmware._cpio(files["initrd"])) == {
        "next": b"n", "TRAILER!!!": b"", "keys/a": b"k",
    }  # fmt: skip
