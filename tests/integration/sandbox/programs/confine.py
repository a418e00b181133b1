"""Run foreign code on a tree: argv is the tree, then the command."""

import os
import sys
from pathlib import Path

from gbuild.host.sandbox.confined import run_confined
from gbuild.host.sandbox.layout import Directory, Layout


def main(argv: list[str]) -> int:
    """Return its status."""
    sys.stdout.flush()
    return run_confined(
        Layout(root=Directory(path=Path(argv[0]))),
        argv[1:],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        stdout=1,
        stderr=2,
        timeout=float(os.environ.get("TIMEOUT", "20")),
    )
