"""How much one target may use and one build may bring back."""

from __future__ import annotations

from gbuild.model.options import BuildOptions
from gbuild.target.backend import Limits

DEFAULT_DISK = 8 << 30
"""Bytes of scratch space of a target: fixed, because a script can see the size."""


def limits_of(options: BuildOptions) -> Limits:
    """Return what one target may use; the sizes of the options are MiB."""
    disk = DEFAULT_DISK if options.disk is None else options.disk << 20
    return Limits(memory=options.memory << 20, disk=disk)
