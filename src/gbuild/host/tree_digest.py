"""Digests over folders.

The digest of a tree, as records of a build carry it, is the sha256 over one line for every file
and symbolic link, in the order of the paths' bytes::

    <mode> SP <sha256 of the content, or of the link's target, in hex> SP <path> NUL

with mode 100644, 100755 (the owner may execute it) or 120000 (a symbolic link) as in git's
trees, and the path relative to the top, with ``/``. Everything called ``.git`` is left out;
folders appear only through what they hold. Whoever has the files can compute it again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gbuild.errors import Unavailable
from gbuild.host.files import sha256_of


def tree_sha256(folder: Path) -> str:
    """Return the digest of the files below ``folder``, without anything called ``.git``.

    Raises:
        Unavailable: there is something that is neither file, folder nor symbolic link.
    """
    digest = hashlib.sha256()
    for path, found in _walk(folder, leave_out=b".git"):
        digest.update(b"%s %s %s\0" % (_mode(found.st_mode), _content(folder, path, found), path))
    return digest.hexdigest()


def seal(folder: Path) -> str:
    """Return a digest of everything below ``folder``: also ``.git`` and the time stamps."""
    digest = hashlib.sha256()
    for path, found in _walk(folder, leave_out=None):
        content = _content(folder, path, found)
        digest.update(b"%o %d %s %s\0" % (found.st_mode, found.st_mtime_ns, content, path))
    return digest.hexdigest()


def _walk(folder: Path, *, leave_out: bytes | None) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield every path below ``folder`` that is no folder, in byte order."""
    found: list[tuple[bytes, os.stat_result]] = []
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        with os.scandir(os.path.join(os.fsencode(folder), below)) as entries:
            for entry in entries:
                if entry.name == leave_out:
                    continue
                path = os.path.join(below, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    found.append((path, entry.stat(follow_symlinks=False)))
    yield from sorted(found, key=lambda one: one[0])


def _mode(mode: int) -> bytes:
    if stat.S_ISLNK(mode):
        return b"120000"
    return b"100755" if mode & stat.S_IXUSR else b"100644"


def _content(folder: Path, path: bytes, found: os.stat_result) -> bytes:
    whole = os.path.join(os.fsencode(folder), path)
    if stat.S_ISLNK(found.st_mode):
        return hashlib.sha256(os.readlink(whole)).hexdigest().encode()
    if not stat.S_ISREG(found.st_mode):
        raise Unavailable(f"neither a file nor a symbolic link: {os.fsdecode(whole)}")
    return sha256_of(Path(os.fsdecode(whole))).encode()
