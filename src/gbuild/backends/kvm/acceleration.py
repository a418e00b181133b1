"""Whether machines run by KVM or by emulation: KVM only where one has really booted by it.

libvirt and QEMU call KVM usable as soon as /dev/kvm can be opened. Under a hypervisor without
nested virtualisation a kernel then hangs or dies half-way. So the first machine is a trial.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gbuild.errors import HostFailure, UsageFailure
from gbuild.host.files import write_atomically

Kind = Literal["kvm", "qemu"]
"""libvirt's words for the two."""

NODE = Path("/dev/kvm")
TRIAL = 30.0
"""Seconds that a kernel may take to boot by KVM; it takes one or two where KVM works."""


def choose(
    wanted: str, record: Path, trial: Callable[[], bool], *, node: object, mend: str | None
) -> tuple[Kind, str | None]:
    """Return how machines are to run, and what a person should know about it.

    Args:
        wanted: ``auto``, ``kvm`` or ``tcg``.
        record: a file that keeps what the trial showed.
        trial: boots a machine by KVM; says whether it came up.
        node: the device of KVM, as people know it.
        mend: what would make it usable, or None if it may be.

    Raises:
        UsageFailure: ``wanted`` is something else.
        HostFailure: KVM is wanted and this person cannot use it.
    """
    if wanted not in ("auto", "kvm", "tcg"):
        raise UsageFailure(f"acceleration is auto, kvm or tcg, not {wanted!r}")
    if wanted == "tcg":
        return "qemu", None
    if mend is not None:
        if wanted == "kvm":
            raise HostFailure(f"{node} cannot be used", hint=mend)
        return "qemu", f"{node} cannot be used: machines are emulated, which is slow ({mend})"
    if wanted == "auto" and not _works(record, trial):
        return "qemu", f"{node} is there but boots nothing: machines are emulated, which is slow"
    return "kvm", None


def unusable(node: Path = NODE) -> str | None:
    """Return the command that makes KVM usable for this person, or None if it may be."""
    if not node.exists():
        return "sudo modprobe kvm_intel || sudo modprobe kvm_amd"
    if os.access(node, os.R_OK | os.W_OK):
        return None
    return 'sudo adduser "$USER" kvm, and log in again'


def _works(record: Path, trial: Callable[[], bool]) -> bool:
    if record.exists():
        return record.read_text() == "yes"
    works = trial()
    record.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(record, b"yes" if works else b"no")
    return works
