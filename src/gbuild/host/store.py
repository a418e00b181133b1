"""The store: sha256-addressed blobs and the folders that other parts keep beside them.

Layout below the root::

    blobs/<first two hex>/<sha256>      immutable files, mode 0444
    images/<key>/...                    kept by gbuild.image
    git/<sha256 of the url>.git         mirrors, kept by gbuild.host.git
    proved/                             which locks were proved, kept by gbuild.image.proof
    run/, scratch/                      targets, kept by their backend
    locks/<name>                        flock files, never removed
    tmp/                                what is being written, partial downloads

Root's store is /var/cache/gbuild, a person's is $XDG_CACHE_HOME/gbuild (~/.cache/gbuild).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gbuild.errors import Bug, Unavailable, WrongHash
from gbuild.host.files import locked, sha256_of

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def default_root(uid: int, environment: Mapping[str, str]) -> Path:
    """Return where the store is when nobody says otherwise (``GBUILD_STORE`` wins)."""
    if chosen := environment.get("GBUILD_STORE"):
        return Path(chosen).absolute()
    if uid == 0:
        return Path("/var/cache/gbuild")
    cache = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '/')}/.cache"
    return Path(cache) / "gbuild"


class Store:
    """A folder of immutable blobs; safe to use from many processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root = root.absolute()
        for name in ("blobs", "images", "git", "locks", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o755)

    def blob(self, sha256: str) -> Path:
        """Return where the blob lies, or would lie."""
        if not _SHA256.match(sha256):
            raise Bug(f"not a sha256: {sha256!r}")
        return self.root / "blobs" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Say whether the blob is there (its bytes were right when it was put)."""
        return self.blob(sha256).is_file()

    def present(self, sha256: str) -> Path:
        """Return the blob's path if it is there.

        Raises:
            Unavailable: it is not: another process may have removed it.
        """
        if not self.has(sha256):
            raise Unavailable(
                f"the store {self.root} lacks the blob {sha256}",
                hint="run the same command again: it fetches or makes what the store lacks",
            )
        return self.blob(sha256)

    def verified(self, sha256: str) -> Path:
        """Return the blob's path after hashing it again; a damaged one is removed.

        Its time of change becomes now: it was used (see :mod:`gbuild.image.downloads`).

        Raises:
            Unavailable: it is not there.
            WrongHash: the file on the disk has other bytes.
        """
        path = self.present(sha256)
        found = sha256_of(path)
        if found != sha256:
            path.unlink(missing_ok=True)
            raise WrongHash(
                f"a blob of the store was damaged and has been removed: {sha256}",
                details=(f"its bytes hashed to {found}",),
                hint="run the same command again to fetch it anew",
            )
        with suppress(OSError):  # a store of somebody else
            os.utime(path)
        return path

    def add(self, data: bytes) -> str:
        """Put bytes; return their sha256."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.has(sha256):
            with self.incoming(sha256) as stream:
                stream.write(data)
        return sha256

    @contextmanager
    def incoming(self, sha256: str) -> Iterator[BinaryIO]:
        """Write a blob: on leaving the block its hash is checked and it gets its name.

        Raises:
            WrongHash: what was written is something else; nothing is kept.
        """
        path = self.blob(sha256)
        path.parent.mkdir(exist_ok=True, mode=0o755)
        descriptor, name = tempfile.mkstemp(dir=self.root / "tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w+b") as stream:
                yield stream
                stream.flush()
                stream.seek(0)
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != sha256:
                raise WrongHash(f"expected sha256 {sha256}", details=(f"got      sha256 {found}",))
            temporary.chmod(0o444)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def adopt(self, temporary: Path, sha256: str) -> Path:
        """Make a file below tmp/, whose bytes the caller has just hashed, the blob.

        The bytes are on the disk (fsync) before the name is.
        """
        path = self.blob(sha256)
        path.parent.mkdir(exist_ok=True, mode=0o755)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o444)
        temporary.replace(path)
        return path

    def lock(
        self, name: str, *, shared: bool = False, wait: float | None = None
    ) -> AbstractContextManager[BinaryIO]:
        """Hold the store's lock called ``name`` (see :func:`gbuild.host.files.locked`)."""
        return locked(
            self.root / "locks" / name, what=f"{name} in the store", shared=shared, wait=wait
        )
