"""Folders that somebody else filled, on systems without descriptors of folders (Windows).

Everything is reached by path. A link, or a junction, is seen before it is entered, and a file is
compared with what was seen after it was opened; but somebody who changes the tree at that very
moment can move a folder away below us. On systems that have descriptors they are used instead.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from gbuild.host.foreign import FILE_FLAGS, Folder, Refused

_REPARSE = 0x400
"""FILE_ATTRIBUTE_REPARSE_POINT: links, junctions and the like."""


class PathFolder(Folder):
    """A folder by its path."""

    def __init__(self, path: Path) -> None:
        super().__init__(-1)
        self._path = path

    def _scan(self) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return os.scandir(self._path)

    def _state(self, name: str) -> os.stat_result:
        return os.lstat(self._path / name)

    @contextmanager
    def enter(self, name: str) -> Iterator[Folder]:
        """Open a folder in this one.

        Raises:
            Refused: it is a symbolic link, or no folder.
        """
        if {"/", "\\", ":"} & set(name) or name in {"", ".", ".."}:
            raise Refused(f"not the name of a folder: {name!r}")
        try:
            state = self._state(name)
        except OSError as error:
            raise Refused(f"{name} is not a folder that can be read") from error
        if stat.S_ISLNK(state.st_mode) or getattr(state, "st_file_attributes", 0) & _REPARSE:
            raise Refused(f"{name} is a symbolic link")
        if not stat.S_ISDIR(state.st_mode):
            raise Refused(f"{name} is not a folder that can be read")
        yield PathFolder(self._path / name)

    def _open_file(self, name: str) -> int:
        try:
            seen = self._state(name)
            if not stat.S_ISREG(seen.st_mode):  # before it is opened: a device may do something
                kind = "a symbolic link" if stat.S_ISLNK(seen.st_mode) else "not a regular file"
                raise Refused(f"{name} is {kind}")
            descriptor = os.open(self._path / name, FILE_FLAGS)
        except OSError as error:
            raise Refused(f"{name} is not a file that can be read") from error
        if not os.path.samestat(seen, os.fstat(descriptor)):
            os.close(descriptor)
            raise Refused(f"{name} was exchanged while it was opened")
        return descriptor


def opened_by_path(path: Path) -> PathFolder:
    """Open a folder that the person named.

    Raises:
        Refused: there is no such folder.
    """
    if not path.is_dir():
        raise Refused(f"{path} is not a folder that can be read")
    return PathFolder(path)
