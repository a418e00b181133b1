"""Whose programs this host runs: its processor's own, and those that an emulator is set up for."""

from __future__ import annotations

import platform
from pathlib import Path

from gbuild.errors import HostFailure

_OWN = {
    "x86_64": frozenset({"amd64", "i386", "x32"}),
    "aarch64": frozenset({"arm64"}),
    "i686": frozenset({"i386"}),
}
_EMULATORS = {"amd64": "x86_64", "arm64": "aarch64", "armel": "arm", "armhf": "arm"}
"""What qemu-user-static calls a distribution's architecture, where it is another word."""

_HANDLERS = Path("/proc/sys/fs/binfmt_misc")


def check_runs(arch: str, *, machine: str = "", handlers: Path = _HANDLERS) -> None:
    """Refuse an architecture (the distribution's word) whose programs cannot run here.

    ``machine`` replaces what the kernel calls this processor. An emulator that is registered
    counts: whether it serves is seen when it is used.

    Raises:
        HostFailure: they cannot.
    """
    name = machine or platform.machine()
    own = _OWN.get(name, frozenset({arch}))
    if arch in own or (handlers / f"qemu-{_EMULATORS.get(arch, arch)}").exists():
        return
    raise HostFailure(
        f"this host's processor ({name}) runs no programs of {arch}",
        hint=f"build on a host that does; here: {', '.join(sorted(own))}",
    )
