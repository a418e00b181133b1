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
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Unavailable

_SMALL = 1 << 20


def tree_sha256(folder: Path) -> str:
    """Return the digest of the files below ``folder``, without anything called ``.git``.

    Raises:
        Unavailable: there is something that is neither file, folder nor symbolic link.
    """
    digest = hashlib.sha256()
    for one in _walk(folder, skip=b".git"):
        digest.update(one.line())
    return digest.hexdigest()


def seal(folder: Path) -> tuple[str, str]:
    """Return a digest of everything below ``folder``, and :func:`tree_sha256` of it.

    The first covers ``.git`` and the time stamps as well; every file is read once.
    """
    everything, tree = hashlib.sha256(), hashlib.sha256()
    for one in _walk(folder, skip=None):
        line = one.line()
        everything.update(b"%o %d %s" % (one.status.st_mode, one.status.st_mtime_ns, line))
        if b".git" not in one.path.split(b"/"):
            tree.update(line)
    return everything.hexdigest(), tree.hexdigest()


@dataclass(frozen=True, slots=True)
class _Found:
    """A file or link: the folder that was walked, the path in it, and its lstat."""

    folder: bytes
    path: bytes
    status: os.stat_result

    def line(self) -> bytes:
        """Return what it adds to the digest."""
        return b"%s %s %s\0" % (self._mode(), self._content().hexdigest().encode(), self.path)

    def _mode(self) -> bytes:
        if stat.S_ISLNK(self.status.st_mode):
            return b"120000"
        return b"100755" if self.status.st_mode & stat.S_IXUSR else b"100644"

    def _content(self) -> hashlib._Hash:
        whole = os.path.join(self.folder, self.path)
        if stat.S_ISLNK(self.status.st_mode):
            return hashlib.sha256(os.readlink(whole))
        if not stat.S_ISREG(self.status.st_mode):
            raise Unavailable(f"neither a file nor a symbolic link: {os.fsdecode(whole)}")
        with open(whole, "rb", buffering=0) as stream:
            if self.status.st_size < _SMALL:  # most are, and file_digest makes a buffer for each
                return hashlib.sha256(stream.read())
            return hashlib.file_digest(stream, "sha256")


def _walk(folder: Path, *, skip: bytes | None) -> Iterator[_Found]:
    """Yield everything below ``folder`` that is no folder, in byte order of the paths."""
    top = os.fsencode(folder)
    found: list[_Found] = []
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        with os.scandir(os.path.join(top, below)) as entries:
            for entry in entries:
                path = os.path.join(below, entry.name)
                if entry.name == skip:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    found.append(_Found(top, path, entry.stat(follow_symlinks=False)))
    yield from sorted(found, key=lambda one: one.path)
