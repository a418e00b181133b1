"""Write an entry into a tree of signatures: both files or none, and nobody else's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.files import write_atomically
from gbuild.model import sigs_layout
from gbuild.model.manifest import LARGEST

_STAGING = ".gsign-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one entry lies. ``root`` holds the releases.

    With a ``stage`` the entry is that stage's manifest instead of a report.
    """

    root: Path
    release: str
    signer: str
    name: str
    stage: str | None = None

    @property
    def folder(self) -> Path:
        """The signer's folder."""
        return sigs_layout.signer_folder(self.root, self.release, self.signer)

    @property
    def assertion(self) -> Path:
        """The path of the assertion, or of the stage's manifest."""
        if self.stage:
            return self.folder / sigs_layout.stage_name(self.stage)
        return self.folder / sigs_layout.assertion_name(self.name)

    @property
    def signature(self) -> Path:
        """The signature's path."""
        if self.stage:
            return self.folder / sigs_layout.stage_signature_name(self.stage)
        return self.folder / sigs_layout.signature_name(self.name)

    @property
    def attestation(self) -> Path:
        """The path of the in-toto attestation."""
        return self.folder / sigs_layout.attestation_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What lies at a place already."""

    assertion: bytes | None
    signature: bytes | None


def present(place: Place) -> Present:
    """Read what is there.

    Raises:
        UsageFailure: a part of the path is a symbolic link, another signer's folder differs
            from this one only in case, or the names are those of a key folder.
    """
    for name in (place.release, place.root.name):
        if name in sigs_layout.KEY_FOLDERS:
            raise UsageFailure(f"{name} is where a tree keeps its keys", hint="use another name")
    for path in (place.root / place.release, place.folder, place.assertion, place.signature):
        if path.is_symlink():
            raise UsageFailure(f"{path} is a symbolic link", hint="remove it")
    _check_neighbours(place.root, place.release)
    _check_neighbours(place.root / place.release, place.signer)
    return Present(assertion=_content(place.assertion), signature=_content(place.signature))


def _check_neighbours(folder: Path, name: str) -> None:
    if not folder.is_dir():
        return
    others = {each.name for each in folder.iterdir() if each.is_dir()}
    clash = sigs_layout.collisions({*others, name}) - {name}
    if name in sigs_layout.collisions({*others, name}):
        raise UsageFailure(
            f"{folder} has {', '.join(sorted(clash))}, which differs from {name} only in case"
        )


def _content(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST:
        raise UsageFailure(f"{path} is larger than any assertion")
    return path.read_bytes()


def put(
    place: Place, assertion: bytes, signature: bytes | None, *, attestation: bytes | None = None
) -> None:
    """Write the entry; when it fails, what was there before is there again.

    A new folder appears whole. In one that exists the signature comes first, so that no reader
    ever sees an assertion of ours without it.
    """
    release = place.root / place.release
    release.mkdir(parents=True, exist_ok=True)
    files = {place.assertion.name: assertion}
    if signature is not None:
        files = {place.signature.name: signature, **files}
    if attestation is not None:
        files[place.attestation.name] = attestation
    with _staged(release, files) as staging:
        if place.folder.is_dir():
            _move_in(staging, place.folder, files)
        else:
            staging.rename(place.folder)


@contextmanager
def _staged(release: Path, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write the files to a hidden folder beside their place; it is gone in the end."""
    for left in release.glob(f"{_STAGING}*"):
        shutil.rmtree(left)
    staging = Path(tempfile.mkdtemp(dir=release, prefix=_STAGING))
    try:
        for name, data in files.items():
            write_atomically(staging / name, data)
        staging.chmod(0o755)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_in(staging: Path, folder: Path, files: Mapping[str, bytes]) -> None:
    before = {name: _content(folder / name) for name in files}
    try:
        for name in files:
            (staging / name).replace(folder / name)
    except BaseException:
        for name, data in before.items():
            _restore(folder / name, data)
        raise


def _restore(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, data)
