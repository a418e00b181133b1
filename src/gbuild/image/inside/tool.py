"""A program of an image, run on a fresh copy of its tree; a program for ``run_trusted``.

Standard input has what to do (JSON, see :mod:`gbuild.image.tools`); the streams of this process
are those of the program, its status is ours.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from gbuild.host.sandbox.confined import run_confined
from gbuild.host.sandbox.layout import Bind, Layout, Overlay

_SIZE, _INODES = 256 << 20, 10_000
"""Of the file system that takes what is written outside the folders that are bound."""

_LIMITS = {
    resource.RLIMIT_NPROC: (256, 256),
    resource.RLIMIT_CORE: (1, 1),  # 0 would still feed the host's core handler; see core(5)
    resource.RLIMIT_DATA: (2 << 30, 2 << 30),
}


def main(argv: list[str]) -> int:
    """Run the program ``argv`` as root of the tree, without a network."""
    what = json.load(sys.stdin)
    layout = Layout(
        root=Overlay(lower=Path(what["tree"]), size=_SIZE, inodes=_INODES),
        hostname="localhost",
        binds=tuple(
            Bind(source=Path(path), target=path, read_only=path not in what["writable"])
            for path in what["folders"]
        ),
        limits=_LIMITS,
    )
    return run_confined(layout, argv, env=what["env"], stdout=1, stderr=2, timeout=what["timeout"])
