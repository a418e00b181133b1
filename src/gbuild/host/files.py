"""Files of this host: atomic writes, digests and locks."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gbuild.errors import Busy, HostFailure, UsageFailure

_SMALL = 64 << 20
_NOT_EVERYWHERE = ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_READ = os.O_RDONLY
for _name in _NOT_EVERYWHERE:
    _READ |= getattr(os, _name, 0)


def sha256_of(path: Path) -> str:
    """Return the sha256 (64 lower-case hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_small(path: Path, *, limit: int = _SMALL) -> bytes:
    """Return the bytes of a regular file that came with somebody's sources.

    A link to an endless device or a pipe without a writer must not hold us or fill the memory.

    Raises:
        UsageFailure: it is no regular file, or longer than ``limit`` bytes.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageFailure(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise UsageFailure(f"{path} is longer than {limit} bytes")
    return data


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path`` so that a reader sees the old bytes or the new, never a part.

    The new bytes are on the disk (fsync) before the name changes.

    Raises:
        OSError: it cannot be written; names ``path``.
    """
    try:
        _write_and_rename(path, data, mode)
    except OSError as error:  # of a full disk it names no file, else the one in between
        error.filename, error.filename2 = str(path), None
        raise


def _write_and_rename(path: Path, data: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def locked(
    path: Path, *, what: str, shared: bool = False, wait: float | None = None
) -> Iterator[BinaryIO]:
    """Hold a flock on ``path`` (made if absent, never removed).

    Args:
        path: the lock file; the holder's pid is written into it when exclusive.
        what: names the locked thing in the error.
        shared: many readers may hold it together.
        wait: None waits for ever, 0 not at all, else seconds.

    Raises:
        Busy: another process holds it; names that process.
        HostFailure: something other than a file lies there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise HostFailure(f"{path} is not a regular file", hint=f"rm {path}")
    with os.fdopen(descriptor, "r+b") as stream:
        _acquire(stream, what, wait, shared=shared)
        if not shared:
            with suppress(OSError):  # a full disk: held all the same, by "unknown"
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield stream


def _acquire(stream: BinaryIO, what: str, wait: float | None, *, shared: bool) -> None:
    import fcntl  # not on Windows, where nothing is locked: what verifies only reads

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = None if wait is None else time.monotonic() + wait
    while True:
        try:
            fcntl.flock(stream, kind if deadline is None else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if deadline is not None and time.monotonic() >= deadline:
                stream.seek(0)
                holder = stream.read(32).decode(errors="replace").strip() or "unknown"
                raise Busy(
                    f"{what} is in use by process {holder}",
                    hint="wait until it has ended (gbuild --wait does)",
                ) from None
            time.sleep(0.05)
        else:
            return
