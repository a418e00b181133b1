"""Read a folder that somebody else filled: regular files only, sizes bounded, no link followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from pathlib import Path

from gbuild.errors import UsageFailure

_FOLDER = os.O_RDONLY
FILE_FLAGS = os.O_RDONLY
for _name in ("O_DIRECTORY", "O_CLOEXEC"):  # not all systems have all of them
    _FOLDER |= getattr(os, _name, 0)
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_NOCTTY", "O_BINARY"):
    FILE_FLAGS |= getattr(os, _name, 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_PIECE = 1 << 20


class Kind(Enum):
    """What a name in a folder is."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    OTHER = "other"


class Refused(UsageFailure):
    """A file or folder that is not read: a link, a device, too big, too many names."""


class Folder:
    """An open folder; everything in it is reached through its descriptor, never by path."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def names(self, *, limit: int) -> tuple[str, ...]:
        """Return the names in it, sorted; undecodable bytes as surrogates.

        Raises:
            Refused: there are more than ``limit``.
        """
        found: list[str] = []
        with self._scan() as entries:
            for entry in entries:
                found.append(entry.name)
                if len(found) > limit:
                    raise Refused(f"more than {limit} names in one folder")
        return tuple(sorted(found))

    def children(self, *, limit: int) -> Mapping[str, Kind]:
        """Return the names in it, sorted, with what each of them is.

        Raises:
            Refused: there are more than ``limit``.
        """
        found: dict[str, Kind] = {}
        with self._scan() as entries:
            for entry in entries:
                found[entry.name] = _kind_of(entry)
                if len(found) > limit:
                    raise Refused(f"more than {limit} names in one folder")
        return dict(sorted(found.items()))

    def is_folder(self, name: str) -> bool:
        """Say whether ``name`` is a folder itself (a link to one is not)."""
        return stat.S_ISDIR(self._kind(name))

    def is_link(self, name: str) -> bool:
        """Say whether ``name`` is a symbolic link."""
        return stat.S_ISLNK(self._kind(name))

    def _kind(self, name: str) -> int:
        try:
            return self._state(name).st_mode
        except FileNotFoundError:
            return 0

    def _scan(self) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        return os.scandir(self._descriptor)

    def _state(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    @contextmanager
    def enter(self, name: str) -> Iterator[Folder]:
        """Open a folder in this one.

        Raises:
            Refused: it is a symbolic link, or no folder.
        """
        if "/" in name or name in {"", ".", ".."}:
            raise Refused(f"not the name of a folder: {name!r}")
        try:
            descriptor = os.open(name, _FOLDER | _NOFOLLOW, dir_fd=self._descriptor)
        except OSError as error:
            kind = "a symbolic link" if self.is_link(name) else "not a folder that can be read"
            raise Refused(f"{name} is {kind}") from error
        with _closing(descriptor):
            yield Folder(descriptor)

    def read(self, name: str, *, limit: int) -> bytes:
        """Return a regular file's bytes.

        Raises:
            Refused: it is a link, a device, a FIFO, unreadable or longer than ``limit`` bytes.
        """
        descriptor = self._open_file(name)
        with _closing(descriptor):
            state = _regular(descriptor, name)
            if state.st_size > limit:
                raise Refused(f"{name} is longer than {limit} bytes")
            return _bounded(descriptor, name, limit, state.st_size)

    def pieces(self, name: str, *, size: int = _PIECE) -> Iterator[bytes]:
        """Yield a regular file's bytes, however many they are.

        Raises:
            Refused: it is a link, a device, a FIFO or unreadable.
        """
        descriptor = self._open_file(name)
        with _closing(descriptor):
            _regular(descriptor, name)
            while piece := os.read(descriptor, size):
                yield piece

    def _open_file(self, name: str) -> int:
        try:
            return os.open(name, FILE_FLAGS, dir_fd=self._descriptor)
        except OSError as error:
            kind = "a symbolic link" if self.is_link(name) else "not a file that can be read"
            raise Refused(f"{name} is {kind}") from error


def _regular(descriptor: int, name: str) -> os.stat_result:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        raise Refused(f"{name} is not a regular file")
    return state


def _kind_of(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return Kind.LINK
    if entry.is_dir(follow_symlinks=False):
        return Kind.FOLDER
    return Kind.FILE if entry.is_file(follow_symlinks=False) else Kind.OTHER


def _bounded(descriptor: int, name: str, limit: int, size: int) -> bytes:
    """Read to the end; ``size`` is what to expect, the file may have grown since."""
    data = os.read(descriptor, min(size, _PIECE) + 1)
    if size < len(data) <= limit or size > _PIECE:
        pieces = [data]
        left = limit + 1 - len(data)
        while left > 0 and (piece := os.read(descriptor, min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        data = b"".join(pieces)
    if len(data) > limit:
        raise Refused(f"{name} is longer than {limit} bytes")
    return data


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open a folder that the person named; links on the way to it are the person's own.

    Raises:
        Refused: there is no such folder.
    """
    if os.open not in os.supports_dir_fd:
        from gbuild.host.foreign_paths import opened_by_path

        yield opened_by_path(path)
        return
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        raise Refused(f"{path} is not a folder that can be read") from error
    with _closing(descriptor):
        yield Folder(descriptor)


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)
