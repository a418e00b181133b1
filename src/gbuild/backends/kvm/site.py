"""Where machines run: what a start asks of this host, or of another."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gbuild.backends.kvm import acceleration
from gbuild.backends.kvm.acceleration import Kind
from gbuild.backends.kvm.address import Address
from gbuild.backends.kvm.pieces import Boot, Pieces
from gbuild.host.idmap import current
from gbuild.host.process import run, which
from gbuild.image.disk import SIZE
from gbuild.model.image import Image
from gbuild.target.backend import Prepared, TargetSpec

Owner = tuple[int, int] | None
"""User and group that QEMU runs as, where libvirt is free to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is made once for all machines of an image: paths on the host where they run."""

    kernel: Path
    initrd: Path
    disk: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """One target's own files, on the host where it runs."""

    disk: Path
    console: Path


class Site(Protocol):
    """A host on which machines run.

    Attributes:
        address: where its libvirt is.
        saves: whether states are saved and restored there.
    """

    address: Address
    saves: bool

    @property
    def mark(self) -> str:
        """What our domains there say of the store they belong to."""

    def refuse(self, spec: TargetSpec) -> None:
        """Refuse what machines cannot have there; UsageFailure says why."""

    def emulator(self) -> Path:
        """Return QEMU's path; MissingTool: it is not installed."""

    def owner(self, kind: Kind) -> Owner:
        """Return whom QEMU is to run as."""

    def processors(self) -> int:
        """Return how many processors that host has."""

    def obstacle(self) -> str | None:
        """Return what would make KVM usable there, or None if it may be."""

    def now(self) -> str:
        """Return what stands for that host as it is now, for what a trial of KVM showed."""

    def held(self, token: str) -> Mapping[str, list[str]]:
        """Return what a target's entry is to hold, so that its own files are found again."""

    def made(self, boot: Boot, image: Image) -> Made:
        """Return the files that machines of an image share, made unless they are there."""

    def own(self, token: str, made: Made, owner: Owner) -> Own:
        """Make a target's own files."""

    def said(self, token: str) -> bytes:
        """Return what a target's console said."""

    def prepared(self) -> tuple[Prepared, ...]:
        """List the images whose disks are there."""

    def discard(self, key: str, *, used: Callable[[str], bool], idle: Callable[[], bool]) -> bool:
        """Remove an image's disk, and with the last one what else was made; Busy: it is used."""

    def strays(self, tokens: Callable[[], frozenset[str]]) -> tuple[str, ...]:
        """Remove what was begun there and belongs to no target of ``tokens``; return it."""


class Here:
    """This host."""

    saves = True

    def __init__(self, address: Address, pieces: Pieces, environment: Mapping[str, str]) -> None:
        self.address = address
        self.mark = str(pieces.root.parent)
        self._pieces = pieces
        self._environment = environment

    def refuse(self, spec: TargetSpec) -> None:
        """Refuse nothing."""

    def emulator(self) -> Path:
        """Return QEMU's path."""
        return which("qemu-system-x86_64", package="qemu-system-x86")

    def owner(self, kind: Kind) -> Owner:
        """Return whom a system's QEMU runs as: somebody who owns nothing else."""
        if not self.address.system:
            return None
        idmap = current(self._environment)
        if kind == "kvm" and acceleration.NODE.exists():
            return idmap.outside(0), acceleration.NODE.stat().st_gid
        return idmap.outside(0), idmap.gids[0][1]

    def processors(self) -> int:
        """Return this host's processors."""
        return os.cpu_count() or 1

    def obstacle(self) -> str | None:
        """Return the command that makes KVM usable."""
        return acceleration.unusable()

    def now(self) -> str:
        """Return this boot's id."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def held(self, token: str) -> Mapping[str, list[str]]:
        """Return the target's folder."""
        return {"folder": [str(self._folder(token))]}

    def made(self, boot: Boot, image: Image) -> Made:
        """Return files of the store."""
        return Made(kernel=boot.kernel, initrd=boot.initrd, disk=self._pieces.disk(image))

    def own(self, token: str, made: Made, owner: Owner) -> Own:
        """Make the target's folder and in it the file that takes what it writes."""
        folder = self._folder(token)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        folder.mkdir(mode=0o700)
        own = Own(disk=folder / "disk.qcow2", console=folder / "console.log")
        tool = which("qemu-img", package="qemu-utils")
        words = ("create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(made.disk), str(own.disk))
        run((tool, *words, str(SIZE)), timeout=60)
        own.console.touch(mode=0o600)
        if owner is not None:
            for path in (folder, own.disk, own.console):
                os.chown(path, *owner)
        return own

    def said(self, token: str) -> bytes:
        """Return what a target's console said."""
        return (self._folder(token) / "console.log").read_bytes()

    def prepared(self) -> tuple[Prepared, ...]:
        """List the store's disks."""
        return self._pieces.prepared()

    def discard(self, key: str, *, used: Callable[[str], bool], idle: Callable[[], bool]) -> bool:
        """Remove an image's disk from the store."""
        return self._pieces.discard(key, used=used, idle=idle)

    def strays(self, tokens: Callable[[], frozenset[str]]) -> tuple[str, ...]:
        """Return nothing: folders of this host are looked after with the entries."""
        del tokens
        return ()

    def _folder(self, token: str) -> Path:
        return self._pieces.root / "targets" / token
