"""A folder in which a release grows beside the place where it will be, until it is whole.

``<destination>/.gget-<release>/`` belongs to one process at a time and holds ``parts/<sha256>``,
what came so far of each file, and at the end ``tree/``, which gets the release's own name in one
step. A process that is killed leaves this folder and nothing else; the next one goes on with it.
Files are hashed through the descriptor they were written by, and what gets a name is checked to
be the very file of that descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gbuild.errors import Busy, HostFailure, WrongHash
from gbuild.host.partial import Partial

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_PIECE = 1 << 20


class Staging:
    """An open staging folder; the lock on it is held."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        for name in ("parts", "tree"):
            self._make(name)

    def _make(self, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=self._descriptor)
        except FileExistsError:
            if not stat.S_ISDIR(_state(name, self._descriptor).st_mode):
                raise _foreign(self.path / name) from None

    def reclaim(self, wanted: Mapping[str, str]) -> None:
        """Take back what a killed process had named already, and forget the rest of its tree.

        Args:
            wanted: sha256 by path.
        """
        with _opened("tree", self._descriptor) as tree, self._parts() as parts:
            for path, sha256 in wanted.items():
                _move_back(tree, path, parts, sha256)
        shutil.rmtree(self.path / "tree")
        self._make("tree")

    def forget_others(self, wanted: Collection[str]) -> None:
        """Remove parts of files that are not wanted any more."""
        with self._parts() as parts:
            for name in os.listdir(parts):
                if name not in wanted:
                    os.unlink(name, dir_fd=parts)

    @contextmanager
    def part(self, sha256: str) -> Iterator[Partial]:
        """Open what came so far of a file; another's file in its place is thrown away."""
        with self._parts() as parts:
            descriptor = _own_file(parts, sha256)
            try:
                yield Partial(self.path / "parts" / sha256, descriptor)
            finally:
                if os.fstat(descriptor).st_size == 0:
                    os.unlink(sha256, dir_fd=parts)
                os.close(descriptor)

    def settle(self, path: str, sha256: str) -> int:
        """Hash a part, and give that very file its name in the tree; return its bytes.

        Raises:
            WrongHash: it has other bytes, or not all yet; it stays a part.
        """
        with self._parts() as parts, _folder_of(path, self._descriptor) as (folder, name):
            descriptor = _own_file(parts, sha256)
            try:
                if (found := _digest(descriptor)) != sha256:
                    raise WrongHash(f"wrong hash: expected sha256 {sha256}, got {found}")
                os.fchmod(descriptor, 0o644)
                os.fsync(descriptor)
                os.rename(sha256, name, src_dir_fd=parts, dst_dir_fd=folder)
                state = os.fstat(descriptor)
                if not os.path.samestat(state, _state(name, folder)):
                    raise WrongHash(f"{path} was exchanged while it was put in place")
                return state.st_size
            finally:
                os.close(descriptor)

    def copy(self, path: str, original: str) -> int:
        """Settle a file whose bytes another path of the tree has already; return its bytes."""
        with _folder_of(path, self._descriptor) as (folder, name):
            source = self.path / "tree" / original
            with source.open("rb") as stream, open(
                name, "xb", opener=lambda n, flags: os.open(n, flags, 0o644, dir_fd=folder)
            ) as copy:  # fmt: skip
                shutil.copyfileobj(stream, copy, _PIECE)
                os.fchmod(copy.fileno(), 0o644)
                os.fsync(copy.fileno())
                return copy.tell()

    def publish(self, name: str) -> Path:
        """Give the whole tree its name beside the staging folder, in one step.

        Raises:
            HostFailure: something with files in it has that name by now.
        """
        for top, _folders, _files in os.walk(self.path / "tree"):
            os.chmod(top, 0o755)
            _sync(Path(top))
        target = self.path.parent / name
        try:
            os.rename(self.path / "tree", target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise HostFailure(f"{target} appeared while the release was fetched") from error
        _sync(self.path.parent)
        return target

    @contextmanager
    def _parts(self) -> Iterator[int]:
        with _opened("parts", self._descriptor) as descriptor:
            yield descriptor


@contextmanager
def staging(destination: Path, release: str) -> Iterator[Staging]:
    """Hold the staging folder of a release; it is removed at the end unless it holds parts.

    Raises:
        Busy: another process holds it.
        HostFailure: what has its name is another person's, or no folder.
    """
    path = destination / f".gget-{release}"
    descriptor = _held(path)
    whole = False
    try:
        yield Staging(path, descriptor)
        whole = True
    finally:
        if whole or not any(child.is_file() for child in path.rglob("*")):
            shutil.rmtree(path)
        os.close(descriptor)


def _held(path: Path) -> int:
    """Open and lock the folder; who held it before may have removed it, so look again."""
    while True:
        _make_folder(path)
        try:
            descriptor = os.open(path, _FOLDER)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _foreign(path) from error
        try:
            _check_own(path, descriptor)
            _lock(descriptor, path)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _make_folder(path: Path) -> None:
    """Make a folder for this person alone, unless something has that name."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return


def _check_own(path: Path, descriptor: int) -> None:
    state = os.fstat(descriptor)
    if state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise _foreign(path)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(
            f"another gget is fetching into {path.parent}", hint="wait until it has ended"
        ) from error


def _foreign(path: Path) -> HostFailure:
    return HostFailure(f"{path} was not made by gget for you alone", hint=f"move {path} away")


def _own_file(folder: int, name: str) -> int:
    """Open a part of ours; anything else that has its name is unlinked and begun anew."""
    for flags in (_FILE | os.O_CREAT, _FILE | os.O_CREAT | os.O_EXCL):
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise
        else:
            state = os.fstat(descriptor)
            if stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
                return descriptor
            os.close(descriptor)
        os.unlink(name, dir_fd=folder)
    raise HostFailure(f"{name} cannot be made a file of its own")


def _digest(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _move_back(tree: int, path: str, parts: int, sha256: str) -> None:
    *folders, name = path.split("/")
    descriptor = os.dup(tree)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.rename(name, sha256, src_dir_fd=descriptor, dst_dir_fd=parts)
    except (FileNotFoundError, NotADirectoryError):
        return
    finally:
        os.close(descriptor)


@contextmanager
def _folder_of(path: str, staging_folder: int) -> Iterator[tuple[int, str]]:
    """Open the folder of a path below ``tree``, making it; yield it with the file's name."""
    *folders, name = path.split("/")
    descriptor = os.open("tree", _FOLDER, dir_fd=staging_folder)
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o755, dir_fd=descriptor)
            inner = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


@contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _state(name: str, folder: int) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
