"""Unpacked images: trees that belong to the users of a map, below overlays, never changed.

Layout below the store::

    images/<key>/image.json             what the image is (gbuild.image.provide)
    images/<key>/<map>/root/            the tree; <map>/ and all below belong to the map
    images/<key>/<map>.stamp            digest of the tree's lstat data, when it was unpacked

Readers hold a shared lock as long as a target may use the tree, prune an exclusive one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gbuild.errors import BackendFailure, GbuildError, HostFailure, WrongHash
from gbuild.host.files import write_atomically
from gbuild.host.idmap import IdMap
from gbuild.host.process import Completed, run
from gbuild.host.sandbox.trusted import run_trusted
from gbuild.host.store import Store
from gbuild.image.inside.stamp import stamp
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image

_INSIDE = Path(__file__).parent / "inside"
_ATTEMPTS = 3

_APART = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    "from gbuild.image.inside.stamp import main; main(sys.argv[1:])"
)
_SOURCES = Path(__file__).parents[2]
_FRESH = 5.0
"""Seconds for which the result of an early check is believed."""


def lock_name(key: str, label: str) -> str:
    """Name the store's lock of one image's tree for one map."""
    return f"tree-{key}-{label}"


@contextmanager
def tree(
    image: Image, *, store: Store, idmap: IdMap, sink: Sink, check: bool = True
) -> Iterator[Path]:
    """Hold an image's unpacked tree, made or made anew if need be, under a shared lock.

    Every file's inode, times, size, mode and owners are compared with those of the unpacking; a
    tree that was changed is thrown away, loudly. Without ``check`` a tree that is there is
    taken as it is: for callers that checked it a moment ago.

    Raises:
        WrongHash: the image's tar is damaged.
        BackendFailure: the tree could not be made.
    """
    unpacked = _Unpacked(image, store, idmap)
    for _ in range(_ATTEMPTS):
        with store.lock(unpacked.lock, shared=True):
            if unpacked.whole() if check else unpacked.made():
                yield unpacked.root
                return
        with store.lock(unpacked.lock):
            unpacked.renew(sink)
    raise BackendFailure(f"the tree of the image {image.key} changes while nobody may write it")


def prepare(image: Image, *, store: Store, idmap: IdMap, sink: Sink) -> bool:
    """Unpack an image unless that was done before; say whether it was.

    :func:`tree` checks it at every use.
    """
    unpacked = _Unpacked(image, store, idmap)
    if unpacked.made():
        return True
    with store.lock(unpacked.lock):
        if not unpacked.made():
            unpacked.renew(sink)
    return False


class EarlyCheck:
    """The check of :func:`tree`, begun in another process before the tree is asked for.

    It compares the same data under the same lock, while this process has other things to do. The
    one difference, that the start follows a moment later, is held below ``_FRESH`` seconds; and
    only a check that passed counts: after any other the caller checks for itself.
    """

    def __init__(self, key: str, sha256: str, *, store: Store, idmap: IdMap) -> None:
        self._tree = _Tree(key, sha256, store, idmap)
        self._store = store
        self._began = time.monotonic()
        self._passed = False
        self._thread = threading.Thread(target=self._check, name="early-check")
        self._thread.start()

    def passed(self, image: Image) -> bool:
        """Wait for the result; True when the tree is the image as unpacked, a moment ago."""
        if (image.key, image.sha256) != (self._tree.key, self._tree.sha256):
            return False
        self._thread.join()
        return self._passed and time.monotonic() - self._began < _FRESH

    def _check(self) -> None:
        try:
            with self._store.lock(self._tree.lock, shared=True, wait=0):
                self._passed = self._tree.whole(apart=True)
        except (GbuildError, OSError):
            self._passed = False  # whoever asks for the tree meets the error again, and tells it


def discard(key: str, *, store: Store, idmap: IdMap) -> bool:
    """Remove an image's tree for one map; say whether there was one.

    Raises:
        Busy: a target uses it.
    """
    folder = store.root / "images" / key
    if not (folder / idmap.label).is_dir():
        return False
    with store.lock(lock_name(key, idmap.label), wait=0):
        (folder / f"{idmap.label}.stamp").unlink(missing_ok=True)
        remove_tree(folder, idmap.label, idmap=idmap)
    return True


def rehash(root: Path, *, sha256: str, date: int, idmap: IdMap) -> None:
    """Hash every byte of an unpacked tree again: packed, it must be the image's tar.

    ``date`` is the image's SOURCE_DATE_EPOCH, which no time in the tree may be after.

    Raises:
        WrongHash: it is something else.
    """
    with tempfile.TemporaryFile() as out:
        _done(
            run_trusted(
                idmap,
                _INSIDE / "stamp.py",
                ("pack", str(root), str(date)),
                folders=(root,),
                stdout=out.fileno(),
            ),
            "the tree could not be read",
        )
        out.seek(0)
        found = hashlib.file_digest(out, "sha256").hexdigest()
    if found != sha256:
        raise WrongHash(
            f"the unpacked image {root} was changed",
            details=(f"expected sha256 {sha256}", f"got      sha256 {found}"),
            hint="gbase prune --all, then build again",
        )


def remove_tree(folder: Path, name: str, *, idmap: IdMap) -> None:
    """Remove ``folder/name``, whose files belong to users of the map."""
    place = folder / name
    if not os.path.lexists(place):
        return
    if os.lstat(place).st_uid not in (idmap.outside(0), os.geteuid()):
        raise BackendFailure(f"{place} belongs to another map of users")
    _done(
        run_trusted(
            idmap, _INSIDE / "remove.py", (str(place), *os.listdir(place)), folders=(place,)
        ),
        f"{place} could not be removed",
    )
    shutil.rmtree(place)


def _done(completed: Completed, what: str) -> bytes:
    if completed.returncode != 0:
        words = completed.stderr or b""
        if os.strerror(errno.ENOSPC).encode() in words:
            raise HostFailure(
                f"{what}: no space is left on the disk",
                hint="free some space, or use another folder with --store",
            )
        raise BackendFailure(what, details=tuple(words.decode(errors="replace").splitlines()[-20:]))
    return completed.stdout


class _Tree:
    """One image's tree for one map, to look at."""

    def __init__(self, key: str, sha256: str, store: Store, idmap: IdMap) -> None:
        self.key = key
        self.sha256 = sha256
        self._idmap = idmap
        self._folder = store.root / "images" / key
        self._stamp = self._folder / f"{idmap.label}.stamp"
        self.root = self._folder / idmap.label / "root"
        self.lock = lock_name(key, idmap.label)

    def made(self) -> bool:
        """Say whether the tree was made; not whether it still is what it was."""
        return self._stamp.exists()

    def whole(self, *, apart: bool = False) -> bool:
        """Say whether the tree is there and as it was unpacked; ``apart`` asks another process."""
        try:
            noted = self._stamp.read_text()
        except FileNotFoundError:
            return False
        return self.root.is_dir() and noted == (f"{self.sha256} {self._measure(apart=apart)}")

    def _measure(self, *, apart: bool = False) -> str:
        if os.geteuid() == 0:  # may read everything itself, and saves the time of a namespace
            if not apart:
                return stamp(str(self.root))
            python = os.path.realpath(sys.executable)
            words = (python, "-I", "-S", "-c", _APART, _SOURCES, "stamp", self.root)
            return run(words, cwd=Path("/")).stdout.decode()
        completed = run_trusted(
            self._idmap, _INSIDE / "stamp.py", ("stamp", str(self.root)), folders=(self.root,)
        )
        return _done(completed, "the tree could not be read").decode()


class _Unpacked(_Tree):
    """One image's tree for one map, to be made."""

    def __init__(self, image: Image, store: Store, idmap: IdMap) -> None:
        super().__init__(image.key, image.sha256, store, idmap)
        self._image = image
        self._store = store

    def renew(self, sink: Sink) -> None:
        """Make the tree, unless another process just did; a changed one is reported."""
        if self.whole():
            return
        label = self._image.environment.label
        if self._stamp.exists():
            text = f"the unpacked image of {label} was changed since it was made: making it anew"
            sink(Event("warning", text, {"job": label}))
        self._stamp.unlink(missing_ok=True)
        remove_tree(self._folder, self._idmap.label, idmap=self._idmap)
        sink(Event("step", f"unpacking the image of {label}", {"job": label}))
        self._unpack()
        write_atomically(self._stamp, f"{self.sha256} {self._measure()}".encode())

    def _unpack(self) -> None:
        self._store.verified(self.sha256)
        temporary = self._folder / f"{self._idmap.label}.{secrets.token_hex(4)}"
        root = temporary / "root"
        for folder in (temporary, root):
            folder.mkdir(mode=0o755)
            os.chown(folder, self._idmap.outside(0), self._idmap.gids[0][1])
        with self._image.tar.open("rb") as tar:
            completed = run_trusted(
                self._idmap,
                _INSIDE / "unpack.py",
                (str(root),),
                folders=(root,),
                stdin=tar.fileno(),
            )
        _done(completed, f"the image {self._image.key} could not be unpacked")
        temporary.rename(self._folder / self._idmap.label)
