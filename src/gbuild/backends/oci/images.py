"""Images in the engine: ours, imported once and known by their computed digest, or a given one."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gbuild.backends.oci import layout
from gbuild.backends.oci.engine import Engine
from gbuild.errors import BackendFailure, Busy, Unavailable, UsageFailure, WrongHash
from gbuild.host import processor
from gbuild.host.store import Store
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.target.backend import Prepared

_IMPORT = 1800.0
_STALE = 86400.0
_PIECE = "oci-import-"
_DIGEST = re.compile(r"(?:[a-z0-9][a-z0-9./:_-]*@)?sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An image that the engine has: its id, and the digest it is known by elsewhere.

    ``foreign`` says that we did not make it: nobody knows yet what is in it.
    """

    identity: str
    digest: str
    foreign: bool = False


class Images:
    """The images of one engine that belong to one store."""

    def __init__(self, engine: Engine, store: Store, sink: Sink) -> None:
        self._engine = engine
        self._store = store
        self._sink = sink
        self._notes = store.root / "oci" / "images"

    def provide(self, image: Image) -> Ready:
        """Return the image, imported now if the engine lacks it.

        Raises:
            WrongHash: the engine computed another digest than we did.
            BackendFailure: it could not be imported.
            Unavailable: the store has lost its tar.
            HostFailure: its programs do not run on this host, where the engine is, too.
        """
        processor.check_runs(image.environment.arch)
        self._store.present(image.sha256)
        oci = layout.describe(image)
        if (found := self._find(oci.identity)) is None:
            with self._store.lock(f"oci-{image.key}"):
                if (found := self._find(oci.identity)) is None:
                    self._import(image, oci)
                    found = self._find(oci.identity)
        if found is None:
            raise BackendFailure(f"{self._engine.kind} lost the image it imported")
        if self._engine.kind == "podman" and found.digest != oci.digest:
            raise WrongHash(
                f"{self._engine.kind} has the image of {image.environment.label} with other bytes",
                details=(f"expected {oci.digest}", f"got      {found.digest}"),
                hint="gbase prune --backend oci --all, then build again",
            )
        self._note(image, found)
        return Ready(identity=oci.identity, digest=oci.digest)

    def given(self, name: str, instead: Image) -> Ready:
        """Return the image that a person names by digest; the engine must have it.

        Raises:
            UsageFailure: the name has no digest, or the image is of another architecture.
            Unavailable: the engine does not have it.
        """
        if not _DIGEST.fullmatch(name):
            raise UsageFailure(
                f"image={name}: expected NAME@sha256:<64 hex digits> or sha256:<64 hex digits>",
                details=("a tag can be moved: what is built in must be named by its digest",),
            )
        digest = name.rpartition("@")[2]
        identity = self._identity(digest)
        if identity is None:
            raise Unavailable(
                f"{self._engine.kind} does not have the image {name}",
                hint=f"{self._engine.kind} pull NAME@sha256:...",
            )
        found = json.loads(self._engine.ask("image", "inspect", identity).stdout)[0]
        if found["Architecture"] != (wanted := layout.architecture(instead)):
            raise UsageFailure(
                f"the image {name} is for {found['Architecture']}, the job needs {wanted}"
            )
        return Ready(identity=identity, digest=digest, foreign=True)

    def _identity(self, digest: str) -> str | None:
        """Return the id of the image that has a digest: of its manifest, or the id itself."""
        shape = "--format={{.ID}} {{.Digest}}"
        listed = self._engine.ask("image", "list", "--all", "--no-trunc", shape)
        for line in listed.stdout.decode().splitlines():
            if digest in (words := line.split()):
                return words[0].removeprefix("sha256:")
        return None

    def noted(self) -> bool:
        """Say whether any image was ever imported for this store; asks no engine."""
        return any(self._notes.glob("*.json"))

    def listed(self) -> tuple[Prepared, ...]:
        """Return the images that were imported for this store and are still there."""
        found = []
        for path in sorted(self._notes.glob("*.json")):
            note = json.loads(path.read_bytes())
            if self._find(note["identity"]) is not None:
                found.append(
                    Prepared(
                        key=path.stem,
                        label=note["label"],
                        place=f"{self._engine.kind} sha256:{note['identity']}",
                        used=path.stat().st_mtime,
                    )
                )
        return tuple(found)

    def discard(self, key: str) -> bool:
        """Remove an image; say whether there was one.

        Raises:
            Busy: a container uses it.
        """
        note = self._notes / f"{key}.json"
        if not note.exists():
            return False
        identity = str(json.loads(note.read_bytes())["identity"])
        with self._store.lock(f"oci-{key}", wait=0):
            was_there = self._find(identity) is not None
            done = self._engine.ask("rmi", identity, check=False)
            if done.returncode != 0 and self._find(identity) is not None:
                raise Busy(
                    f"a container uses the image {identity[:12]}",
                    details=tuple(done.stderr.decode(errors="replace").splitlines()[-3:]),
                    hint="gtarget list; gtarget stop NAME",
                )
            note.unlink()
        return was_there

    def sweep(self) -> tuple[str, ...]:
        """Remove what killed imports left in the store."""
        pieces = (self._store.root / "tmp").glob(f"{_PIECE}*")
        old = [p for p in pieces if p.lstat().st_mtime < time.time() - _STALE or not _held(p)]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return tuple(str(path) for path in old)

    def _find(self, identity: str) -> Ready | None:
        done = self._engine.ask("image", "inspect", identity, check=False)
        if done.returncode != 0:
            return None
        found = json.loads(done.stdout)[0]
        digest = str(found.get("Digest") or f"sha256:{identity}")
        return Ready(identity=identity, digest=digest)

    def _import(self, image: Image, oci: layout.OciImage) -> None:
        label = image.environment.label
        self._sink(Event("step", f"importing the image of {label}", {"job": label}))
        self._store.verified(image.sha256)
        with self._piece() as folder:
            if self._engine.kind == "docker":
                layout.write_archive(oci, image.tar, folder / "image.tar")
                self._engine.ask("load", "--quiet", "-i", f"{folder}/image.tar", timeout=_IMPORT)
            else:
                layout.write_folder(oci, image.tar, folder / "image")
                self._engine.ask("pull", "--quiet", f"dir:{folder}/image", timeout=_IMPORT)

    @contextmanager
    def _piece(self) -> Iterator[Path]:
        prefix = f"{_PIECE}{os.getpid()}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self._store.root / "tmp") as folder:
            yield Path(folder)

    def _note(self, image: Image, found: Ready) -> None:
        """Keep which image is whose, and when it was last used (the time of the file)."""
        self._notes.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"identity": found.identity, "label": image.environment.label})
        path = self._notes / f"{image.key}.json"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        os.utime(path)


def _held(piece: Path) -> bool:
    """Say whether the process that writes a piece still runs."""
    pid = piece.name.removeprefix(_PIECE).partition("-")[0]
    return Path("/proc", pid).exists()
