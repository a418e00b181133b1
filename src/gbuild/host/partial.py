"""A file that is being downloaded: kept between runs, written by one process at a time."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import unquote

from gbuild.errors import HostFailure
from gbuild.host.store import Store
from gbuild.host.web import Broken, Refused, Stopped

_TICK = 0.1


class Partial:
    """What came so far of one blob, open for writing at its end."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @classmethod
    @contextmanager
    def of(cls, store: Store, sha256: str, stop: threading.Event) -> Iterator[Self]:
        """Open the blob's partial file, waiting while another process or thread has it.

        Raises:
            Stopped: ``stop`` was set while waiting.
            HostFailure: the store cannot be written.
        """
        path = store.root / "tmp" / f"partial-{sha256}"
        descriptor = _exclusive(path, stop)
        try:
            yield cls(path, descriptor)
        finally:
            if os.fstat(descriptor).st_size == 0:
                path.unlink(missing_ok=True)
            os.close(descriptor)

    def size(self) -> int:
        """Return how many bytes are there."""
        return self._size

    def restart(self) -> None:
        """Forget everything that came."""
        self.truncate(0)

    def truncate(self, size: int) -> None:
        """Keep the first ``size`` bytes."""
        if size != self._size:
            os.ftruncate(self._descriptor, size)
            self._size = size

    @contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Open what is there for reading, from its beginning, through the same descriptor."""
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            stream.seek(0)
            yield stream

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            HostFailure: the disk is full or does not work; names the folder and what is free.
        """
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._descriptor, view, self._size)
                self._size += count
                view = view[count:]
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error


def _exclusive(path: Path, stop: threading.Event) -> int:
    """Open and lock ``path``; whoever held it before may have renamed it, so look again."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise cannot_write(path.parent, error) from error
        try:
            _wait_for_lock(descriptor, stop)
            if _same_file(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait_for_lock(descriptor: int, stop: threading.Event) -> None:
    import fcntl  # not on Windows, where git history is read and nothing is downloaded

    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if stop.wait(_TICK):
                raise Stopped from None
        else:
            return


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def cannot_write(folder: Path, error: OSError) -> HostFailure:
    """Say that a folder cannot be written, how much is free there, and what to do."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HostFailure(
        f"cannot write in {folder}: {error.strerror}",
        details=(f"free there: {shutil.disk_usage(folder).free >> 20} MiB",),
        hint="free some space, or choose another place with --store DIR"
        if full
        else "choose a folder that you may write with --store DIR",
    )


@contextmanager
def local_file(url: str) -> Iterator[BinaryIO]:
    """Open the regular file that a ``file:`` URL names.

    Raises:
        Refused: it is not there, not a file, or cannot be read.
    """
    path = unquote(url.removeprefix("file:").removeprefix("//"))
    if not path.startswith("/") or "\0" in path:
        raise Refused("not a file: address with an absolute path")
    try:
        # not blocked by a FIFO, which is then refused
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(error.strerror or "cannot be read") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused("not a regular file")
        try:
            yield stream
        except OSError as error:
            raise Broken(error.strerror or "cannot be read") from error
