"""Kernel and initrd from boot packages."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure
from gbuild.image.boot import boot_key, cpio, initrd, load_order, read_parts
from gbuild.model.lock import Package

MODULES = {
    "virtio_pci": b"\0license=GPL\0depends=virtio,virtio-ring\0name=virtio_pci\0",
    "virtio": b"\0depends=virtio_ring\0",
    "virtio_ring": b"\0depends=\0",
    "ext4": b"\0softdep=pre: crc32c\0depends=mbcache\0",
    "mbcache": b"\0depends=\0",
    "crc32c": b"\0depends=\0",
}


def deb(path: Path, files: dict[str, bytes]) -> Path:
    """Write a package with nothing but data."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    raw = data.getvalue()
    header = f"{'data.tar':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(raw):<10}`\n".encode()
    path.write_bytes(b"!<arch>\n" + header + raw)
    return path


def test_every_module_comes_after_what_it_needs() -> None:
    order = load_order(MODULES, ("virtio_pci", "ext4", "built_in"))
    assert order == ["virtio_ring", "virtio", "virtio_pci", "crc32c", "mbcache", "ext4"]


def test_a_circle_of_modules_ends() -> None:
    circle = {"a": b"\0depends=b\0", "b": b"\0depends=a\0"}
    with pytest.raises(BackendFailure, match="need each other: a"):
        load_order(circle, ("a",))


def test_the_archive_is_what_cpio_reads() -> None:
    data = cpio([("bin", 0o040755, b""), ("bin/x", 0o100755, b"abc"), ("l", 0o120777, b"bin/x")])
    assert data.startswith(b"070701")
    assert len(data) % 4 == 0
    assert b"TRAILER!!!" in data


def test_kernel_modules_and_busybox_are_found(tmp_path: Path) -> None:
    kernel = deb(
        tmp_path / "linux.deb",
        {
            "./boot/vmlinuz-6.1.0-1-cloud-amd64": b"kernel",
            "./lib/modules/6.1.0-1-cloud-amd64/kernel/drivers/virtio-pci.ko": b"\0depends=\0",
            "./usr/share/doc/linux/vmlinuz-9": b"no",
        },
    )
    busybox = deb(tmp_path / "busybox.deb", {"./bin/busybox": b"ELF"})
    parts = read_parts([kernel, busybox])
    assert (parts.kernel, parts.release) == (b"kernel", "6.1.0-1-cloud-amd64")
    assert parts.busybox == b"ELF"
    assert set(parts.modules) == {"virtio_pci"}
    one, two = (initrd(parts, "#!/bin/sh\n", "next\n") for _ in range(2))
    assert one == two
    assert b"early/00-virtio_pci.ko\0" in one


def test_without_a_kernel_it_says_so(tmp_path: Path) -> None:
    busybox = deb(tmp_path / "busybox.deb", {"./bin/busybox": b"ELF"})
    with pytest.raises(BackendFailure, match="lack a kernel"):
        read_parts([busybox])


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.deb").write_bytes(b"!<arch>\nrubbish")
    with pytest.raises(BackendFailure, match=r"bad\.deb cannot be read"):
        read_parts([tmp_path / "bad.deb"])


def test_the_key_follows_packages_and_script() -> None:
    package = Package(
        name="x", arch="amd64", version="1", sha256="0" * 64, size=1, archive="a", path="p"
    )
    keys = {boot_key([package], "a"), boot_key([package], "b"), boot_key([], "a")}
    assert len(keys) == 3
