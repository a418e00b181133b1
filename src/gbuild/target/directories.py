"""Folders below one root, reached by descriptors alone: no link is ever followed.

openat(2) with O_NOFOLLOW at each single component: what is reached is below the root whatever
the names are, also while somebody changes the tree.
"""

from __future__ import annotations

import os
from typing import Self

DEEPEST = 100
"""Folders inside each other that are accepted (one descriptor each)."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Directories:
    """Keeps the folder where the last name was, and those above it, open."""

    def __init__(self, root: os.PathLike[str]) -> None:
        self._names: list[bytes] = []
        self._descriptors = [os.open(root, _FOLDER)]

    def enter(self, parts: list[bytes]) -> int:
        """Return a descriptor of the folder ``parts``, making what is missing (mode 0755).

        Valid until the next call. Raises OSError when a part is no folder.
        """
        common = 0
        for have, want in zip(self._names, parts, strict=False):
            if have != want:
                break
            common += 1
        while len(self._names) > common:
            self._names.pop()
            os.close(self._descriptors.pop())
        for part in parts[common:]:
            self._descriptors.append(self._child(part))
            self._names.append(part)
        return self._descriptors[-1]

    def new_file(self, parts: list[bytes], name: bytes, mode: int) -> int:
        """Return a descriptor for writing a file that did not exist."""
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=self.enter(parts))
        os.fchmod(descriptor, mode)
        return descriptor

    def new_link(self, parts: list[bytes], name: bytes, target: bytes) -> None:
        """Make a symbolic link that did not exist."""
        os.symlink(target, name, dir_fd=self.enter(parts))

    def close(self) -> None:
        """Close all descriptors."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _child(self, name: bytes) -> int:
        above = self._descriptors[-1]
        try:
            return os.open(name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=above)
        descriptor = os.open(name, _FOLDER, dir_fd=above)
        os.fchmod(descriptor, 0o755)
        return descriptor
