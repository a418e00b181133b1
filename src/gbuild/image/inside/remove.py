"""Remove folders that belong to users of the map; a program for ``run_trusted``.

Arguments: a folder of the mapped root's, then the names inside it that are to vanish.
"""

from __future__ import annotations

import os
import shutil


def main(argv: list[str]) -> int:
    """Remove every named tree; absent ones are fine."""
    folder = os.open(argv[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in argv[1:]:
        if "/" in name or name in {"", ".", ".."}:
            raise ValueError(f"not a name in a folder: {name!r}")
        if name in os.listdir(folder):
            shutil.rmtree(name, dir_fd=folder)
    os.close(folder)
    return 0
