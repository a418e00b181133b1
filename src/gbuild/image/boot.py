"""From the packages of a lock's ``boot`` section to what a machine starts with: kernel and initrd.

The initrd holds a static busybox, the modules that reach virtio devices, and one script that the
backend gives. The same packages and script give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import BackendFailure
from gbuild.host.deb import DamagedPackage, members, unzstd
from gbuild.image.inside.debs import unpacked
from gbuild.model.lock import Package

EARLY = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "ext4")
"""Modules without which there is no disk, no way in and no order to wait for."""

LATE = ("virtio_rng",)
"""Modules that the script loads itself, when it is told to go on."""

_KERNEL = re.compile(r"(?:\./)?boot/vmlinuz-(.+)")
_MODULE = re.compile(r"(?:\./)?(?:usr/)?lib/modules/[^/]+/kernel/.+/([^/]+)\.ko(\.xz|\.zst)?")
_BUSYBOX = re.compile(r"(?:\./)?(?:usr/)?bin/busybox")
_LOADER = re.compile(r"(?:\./)?usr/lib/systemd/boot/efi/systemd-bootx64\.efi")
_NEEDS = re.compile(rb"\0(?:depends=|softdep=pre: *)([^\0]*)")
_LARGEST = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the boot packages hold: the kernel's image and release, modules by name, busybox.

    ``loader`` is a boot loader for EFI, empty when they hold none.
    """

    kernel: bytes
    release: str
    modules: Mapping[str, bytes]
    busybox: bytes
    loader: bytes = b""


def boot_key(packages: Sequence[Package], script: str) -> str:
    """Return the name of what these packages and this script make."""
    words = [*sorted(package.sha256 for package in packages), *EARLY, *LATE, script]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def read_parts(debs: Iterable[Path]) -> Parts:
    """Read kernel, modules, busybox and loader from package files.

    Raises:
        BackendFailure: a package is damaged, or kernel or busybox are missing.
    """
    kernel, release, busybox, loader = b"", "", b"", b""
    modules: dict[str, bytes] = {}
    for path in debs:
        try:
            for name, data in _files(path):
                if match := _KERNEL.fullmatch(name):
                    kernel, release = data, match[1]
                elif match := _MODULE.fullmatch(name):
                    modules[_plain(match[1])] = _opened(data, match[2])
                elif _BUSYBOX.fullmatch(name):
                    busybox = data
                elif _LOADER.fullmatch(name):
                    loader = data
        except (DamagedPackage, tarfile.TarError, lzma.LZMAError, OSError) as error:
            text = f"the boot package {path.name} cannot be read"
            raise BackendFailure(text, details=(str(error),)) from error
    wanted = {"a kernel (boot/vmlinuz-*)": kernel, "a static busybox": busybox}
    if missing := [what for what, data in wanted.items() if not data]:
        raise BackendFailure(
            f"the boot packages lack {' and '.join(missing)}",
            hint="make a new lock: glock --boot DESCRIPTOR",
        )
    return Parts(kernel=kernel, release=release, modules=modules, busybox=busybox, loader=loader)


def initrd(
    parts: Parts,
    script: str,
    then: str,
    *,
    first: Sequence[str] = EARLY,
    later: Sequence[str] = LATE,
) -> bytes:
    """Return an uncompressed cpio archive (newc) whose /init is ``script``.

    The modules ``first`` and ``later`` lie in /early and /late, with what they need, named so that
    their sorted order is the order to load them.
    """
    early = load_order(parts.modules, first)
    late = [name for name in load_order(parts.modules, later) if name not in early]
    entries = [
        *((name, 0o040755, b"") for name in ("bin", "dev", "early", "late", "proc", "root")),
        ("sys", 0o040755, b""),
        ("bin/busybox", 0o100755, parts.busybox),
        ("bin/sh", 0o120777, b"busybox"),
        ("init", 0o100755, script.encode()),
        ("next", 0o100644, then.encode()),
        *_numbered("early", early, parts.modules),
        *_numbered("late", late, parts.modules),
    ]
    return cpio(entries)


def load_order(modules: Mapping[str, bytes], wanted: Iterable[str]) -> list[str]:
    """Return the wanted modules and what they need, each after what it needs.

    A module that is not there is built into the kernel (or truly missing: then the script that
    waits for its device says so).
    """
    order: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in order or name not in modules:
            return
        if name in above:
            raise BackendFailure(f"modules of the kernel need each other: {', '.join(above)}")
        for needed in _needs(modules[name]):
            add(needed, (*above, name))
        order.append(name)

    for name in wanted:
        add(name, ())
    return order


def cpio(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return (name, mode, content) as a cpio archive of the kind the kernel unpacks.

    The format is that of the kernel's Documentation/driver-api/early-userspace/buffer-format.
    """
    out = io.BytesIO()
    numbered = enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1)
    for number, (name, mode, data) in numbered:
        encoded = name.encode() + b"\0"
        links = 2 if mode & 0o040000 and not mode & 0o100000 else 1
        fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        out.write(bytes(-out.tell() % 4))
        out.write(data)
        out.write(bytes(-out.tell() % 4))
    return out.getvalue()


def _numbered(
    folder: str, names: Sequence[str], modules: Mapping[str, bytes]
) -> Iterator[tuple[str, int, bytes]]:
    for number, name in enumerate(names):
        yield f"{folder}/{number:02}-{name}.ko", 0o100644, modules[name]


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the interesting regular files of a .deb."""
    with path.open("rb") as stream:
        found = members(stream)
        name = next((one for one in found if one.startswith("data.tar")), None)
        if name is None:
            raise DamagedPackage("the package has no data member")
        offset, size = found[name]
        stream.seek(offset)
        data = io.BytesIO(_joined(unpacked(stream, name, size)))
    with tarfile.open(fileobj=data, mode="r:") as archive:
        for member in archive:
            patterns = (_KERNEL, _MODULE, _BUSYBOX, _LOADER)
            if member.isreg() and any(one.fullmatch(member.name) for one in patterns):
                content = archive.extractfile(member)
                yield member.name, content.read() if content else b""


def _joined(pieces: Iterable[bytes]) -> bytes:
    out = bytearray()
    for piece in pieces:
        out += piece
        if len(out) > _LARGEST:
            raise DamagedPackage(f"it unpacks to more than {_LARGEST} bytes")
    return bytes(out)


def _opened(data: bytes, ending: str | None) -> bytes:
    if ending == ".xz":
        return lzma.decompress(data)
    return unzstd(data, "a module") if ending == ".zst" else data


def _needs(module: bytes) -> Iterator[str]:
    """Yield what a module's .modinfo section says it needs."""
    for match in _NEEDS.finditer(module):
        yield from (_plain(name) for name in re.split(r"[ ,]+", match[1].decode()) if name)


def _plain(name: str) -> str:
    return name.replace("-", "_")
