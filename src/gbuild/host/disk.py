"""How much room a file system has."""

from __future__ import annotations

import shutil
from pathlib import Path


def free(path: Path) -> int:
    """Return the bytes that this person may still write there."""
    return shutil.disk_usage(path).free
