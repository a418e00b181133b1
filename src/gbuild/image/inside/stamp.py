"""Digest of a tree's lstat data, or the tar of a tree; a program for ``run_trusted``.

Arguments: ``stamp FOLDER`` prints a sha256 over every file's path, inode, times of change, size,
mode and owners: nobody without the host's root can change a file and keep its ctime.
``pack FOLDER LATEST`` writes the tree's tar to standard output.
"""

from __future__ import annotations

import hashlib
import os
import sys

from gbuild.image.inside.archive import Packer


def main(argv: list[str]) -> int:
    """Do one of the two."""
    if argv[0] == "pack":
        Packer(1, latest=int(argv[2])).pack(argv[1])
    else:
        sys.stdout.write(stamp(argv[1]))
    return 0


def stamp(root: str) -> str:
    """Return the digest of a tree; about 5 µs a file."""
    digest = hashlib.sha256(_line("", os.lstat(root)))
    todo = [root]
    while todo:
        folder = todo.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda e: e.name)
        for entry in found:
            digest.update(_line(entry.path, entry.stat(follow_symlinks=False)))
            if entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
    return digest.hexdigest()


def _line(path: str, s: os.stat_result) -> bytes:
    values = (path, s.st_ino, s.st_ctime_ns, s.st_mtime_ns, s.st_size, s.st_mode)
    return repr((*values, s.st_uid, s.st_gid, s.st_nlink)).encode("utf-8", "surrogateescape")
