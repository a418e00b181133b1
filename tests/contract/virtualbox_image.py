"""The contract's small image with boot packages that only the stand-in for VirtualBox boots."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.model.lock import Package
from gbuild.target.contract import small_image

_FILES = {
    "linux-image-1.0": {"boot/vmlinuz-1.0": b"a kernel"},
    "systemd-boot-efi": {"usr/lib/systemd/boot/efi/systemd-bootx64.efi": b"a loader"},
}


def bootable(store: Store, folder: Path) -> Image:
    """Put image and boot packages into the store; busybox is this host's."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    files = {**_FILES, "busybox-static": {"bin/busybox": Path(busybox).read_bytes()}}
    packages = tuple(_package(store, folder, name, held) for name, held in sorted(files.items()))
    image = small_image(store)
    return replace(image, environment=replace(image.environment, boot=packages))


def _package(store: Store, folder: Path, name: str, files: dict[str, bytes]) -> Package:
    tree = folder / name
    for path, data in files.items():
        (tree / path).parent.mkdir(parents=True)
        (tree / path).write_bytes(data)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody <n@example>\n"
        "Description: nothing\n"
    )
    deb = folder / f"{name}.deb"
    run(("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, deb))
    data = deb.read_bytes()
    return Package(
        name=name,
        arch="amd64",
        version="1",
        sha256=store.add(data),
        size=len(data),
        archive="debian",
        path=f"pool/{name}.deb",
    )
