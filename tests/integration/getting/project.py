"""A project with signers, whose releases are made as bytes: no build, one gpg for a signature."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.integration.signing.people import Person

from gbuild.formats.manifest import write_manifest
from gbuild.formats.report import write_report
from gbuild.get.agreement import Wanted
from gbuild.get.run import Order, Result, get
from gbuild.get.sources import source
from gbuild.host.web import Settings
from gbuild.model.event import Event
from gbuild.model.manifest import Entry, Report
from gbuild.verify.policy import default_policy

START = 1_800_000_000
"""When gget runs first."""
FILES = {"hello.tar.gz": b"one" * 1000, "src/hello.tar.gz": b"two" * 1000}
QUICK = Settings(rounds=2, delay=0.01, patience=5, connect=5)


@dataclass(frozen=True)
class Signer:
    """A person, their key and its armored text."""

    name: str
    person: Person
    key: str
    armored: bytes


@dataclass
class Project:
    """A tree of signatures and the files, in a folder of the test."""

    root: Path
    signers: Mapping[str, Signer]
    told: list[Event] = field(default_factory=list)
    folder: str = "got"

    @property
    def sigs(self) -> Path:
        return self.root / "sigs"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def destination(self) -> Path:
        return self.root / self.folder

    def release(
        self,
        release: str = "1.0",
        files: Mapping[str, bytes] = FILES,
        *,
        by: Sequence[str] = ("alice", "bob"),
        name: str = "hello",
    ) -> None:
        """Sign a release, and lay its files out."""
        entries = [Entry(path=p, digest=hashlib.sha256(d).hexdigest()) for p, d in files.items()]
        report = Report(
            out_manifest=write_manifest(entries),
            in_manifest="",
            base_manifests={},
            release=release,
            name=name,
            type="build",
        )
        for signer in by:
            self.sign(release, signer, write_report(report), name=name)
        for path, data in files.items():
            place = self.out / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)

    def sign(self, release: str, signer: str, document: bytes, *, name: str = "hello") -> None:
        """Put one entry, and the signer's key, into the tree."""
        who = self.signers[signer]
        folder = self.sigs / release / signer
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-build.assert").write_bytes(document)
        signature = who.person.sign(document, who.key)
        (folder / f"{name}-build.assert.sig").write_bytes(signature)
        for keys in (self.sigs / "builder-keys", self.keys):
            keys.mkdir(exist_ok=True, parents=True)
            (keys / f"{signer}.asc").write_bytes(who.armored)

    def archive(self, *, top: str = "hello.sigs-main/") -> bytes:
        """Return the tree as a web site packs it."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as archive:
            archive.add(self.sigs, arcname=top)
        return data.getvalue()

    def order(self, *places: str | Path, release: str = "1.0", **changes: Any) -> Order:
        """Make an order; changes are fields of it or of what is wanted."""
        persons = changes.pop("persons", 2)
        wanted = Wanted(release=release, policy=default_policy(persons=persons))
        own = {key: changes.pop(key) for key in list(changes) if key in Wanted.__slots__}
        order = Order(
            wanted=replace(wanted, **own),
            signatures=str(self.sigs),
            sources=tuple(source(str(each)) for each in places or (self.out,)),
            destination=self.destination,
            state=self.state,
            now=START,
        )
        return replace(order, **changes)

    def get(self, *places: str | Path, **changes: Any) -> Result:
        """Run gget in this process."""
        return get(self.order(*places, **changes), settings=QUICK, sink=self.told.append)

    def got(self, release: str = "1.0") -> dict[str, bytes]:
        """Return what lies in the release's folder."""
        folder = self.destination / release
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def left_over(self) -> list[str]:
        """Return what else lies in the destination."""
        if not self.destination.exists():
            return []
        return sorted(p.name for p in self.destination.iterdir() if p.name.startswith("."))
