"""What was made once is used again only as it was made: a stamp beside its folder tells.

As with unpacked images (:mod:`gbuild.image.unpacked`) every file's inode, times, size, mode and
owner are compared, not its bytes: nobody without the host's root changes a file and keeps its
ctime, and a disk of gigabytes is not read before each start.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gbuild.host.files import write_atomically
from gbuild.image.inside.stamp import stamp


def keep(folder: Path) -> None:
    """Note how the folder is now: whole."""
    write_atomically(_stamp(folder), stamp(str(folder)).encode())


def kept(folder: Path) -> bool:
    """Say whether a folder was ever whole; it may have been changed since."""
    return _stamp(folder).exists()


def unchanged(folder: Path) -> bool:
    """Say whether a folder is there and as it was when it became whole."""
    try:
        return _stamp(folder).read_text() == stamp(str(folder))
    except (FileNotFoundError, NotADirectoryError):
        return False


def touch(folder: Path) -> None:
    """Note that a folder is used now."""
    os.utime(_stamp(folder))


def used(folder: Path) -> float:
    """Return when a folder was used last, in seconds since the epoch."""
    return _stamp(folder).stat().st_mtime


def derived(folder: Path, name: str, work: Callable[[], str]) -> str:
    """Return what ``work`` finds in a whole folder: done once, and kept beside it as ``name``."""
    path, state = folder.with_name(f"{folder.name}.{name}"), _stamp(folder).read_text()
    if path.exists():
        before, _, found = path.read_text().partition(" ")
        if before == state:
            return found
    found = work()
    write_atomically(path, f"{state} {found}".encode())
    return found


def remove(folder: Path) -> None:
    """Remove a folder, whole or not, its stamp first, and what was derived from it."""
    _stamp(folder).unlink(missing_ok=True)
    for path in folder.parent.glob(f"{glob.escape(folder.name)}.*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _stamp(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.stamp")
