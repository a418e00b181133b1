"""What a waiting machine is told, and what is said of it to others. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gbuild.backends.kvm.domain import Shape, processor
from gbuild.image.disk import INODES, SIZE
from gbuild.target.backend import TargetSpec

_FILES = 1 << 20
"""Open files of a process when no limit is asked for: the kernel's own most."""


def text(spec: TargetSpec, *, detached: bool, now: float, seed: str, size: int) -> bytes:
    """Return the order for a target; ``size`` bytes of archive follow it (see init.sh).

    ``now`` is this host's clock, in seconds since the epoch.
    """
    limits = spec.limits
    words = {
        "date": str(int(now) + int(spec.extras.get("clock.wall", "0"))),
        "seed": seed,
        "root": "nodev" if spec.sudo else "nodev,nosuid",
        "room": str(limits.disk or ""),
        "files": str(limits.open_files or _FILES),
        "tasks": str(limits.processes or ""),
        "persona": "linux32" if spec.image.environment.arch == "i386" else "",
        "keep": "yes" if detached else "no",
        "network": "yes" if spec.network else "no",
        "bytes": str(size),
    }
    return "".join(f"{key}={value}\n" for key, value in words.items()).encode() + b"go\n"


def facts(spec: TargetSpec, shape: Shape, *, uri: str, how: str) -> Mapping[str, str]:
    """Say how a target runs; ``how`` it was started."""
    limits = spec.limits
    return {
        "backend": "kvm",
        "uri": uri,
        "acceleration": "kvm" if shape.kind == "kvm" else "tcg",
        "start": how,
        "network": "passt" if spec.network else "none",
        "sudo": str(spec.sudo).lower(),
        "scratch": "disk",
        "disk": str(limits.disk or SIZE),
        "inodes": str(INODES),
        "memory": str(shape.memory << 20),
        "cpus": str(shape.cpus) if limits.cpus else f"unlimited ({shape.cpus} virtual)",
        "processor": processor(shape),
        "processes": str(limits.processes or "unlimited"),
        "open_files": str(limits.open_files or _FILES),
    }


def gaps(spec: TargetSpec) -> tuple[str, ...]:
    """Say which limits that were asked for do not hold."""
    inodes = spec.limits.inodes
    return (f"inodes: {INODES}",) if inodes is not None and inodes < INODES else ()
