"""Read one release of a tree of signatures: bytes in, nothing judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gbuild.host.foreign import Folder, Refused, opened
from gbuild.model import names, sigs_layout
from gbuild.model.manifest import LARGEST

MAX_ASSERTION = LARGEST
MAX_SIGNATURE = 1 << 18
"""Bytes; a signature has below 1 kB, a real one that was not detached 25 kB."""
MAX_SIGNERS = 1_000
MAX_FILES = 1_000
MAX_RELEASES = 20_000
MAX_RELEASE = 256 << 20
"""Bytes of all entries of a release together; the largest real release has 5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The files of one entry as they lie in the tree.

    ``name`` is None when the signer's whole folder could not be read. ``problem`` says what was
    refused.
    """

    signer: str
    name: str | None
    assertion: bytes | None = None
    signature: bytes | None = None
    problem: str | None = None


def releases(root: Path) -> tuple[str, ...]:
    """List the release folders of a tree, sorted; key folders and hidden ones are none."""
    with opened(root) as folder:
        present = folder.names(limit=MAX_RELEASES)
        return tuple(
            name
            for name in present
            if not name.startswith(".")
            and name not in sigs_layout.KEY_FOLDERS
            and folder.is_folder(name)
        )


def read_release(root: Path, release: str, *, name: str | None = None) -> Iterator[Found]:
    """Yield every entry of a release, in the order of signer and package.

    Args:
        root: the tree; it holds ``<release>/<signer>/``.
        release: the release's folder.
        name: only this package's entries.

    Raises:
        Refused: the release folder does not exist or is a symbolic link, or holds more signers
            or bytes than any honest one.
    """
    left = MAX_RELEASE
    with opened(root) as tree, tree.enter(release) as folder:
        for found in _signers(folder, name):
            left -= len(found.assertion or b"") + len(found.signature or b"")
            if left < 0:
                raise Refused(f"release {release} is larger than {MAX_RELEASE} bytes")
            yield found


def _signers(folder: Folder, name: str | None) -> Iterator[Found]:
    present = [each for each in folder.names(limit=MAX_SIGNERS) if not each.startswith(".")]
    colliding = sigs_layout.collisions(present)
    for signer in present:
        if not folder.is_folder(signer) and not folder.is_link(signer):
            continue
        problem = names.SIGNER.refusal(signer)
        if signer in colliding:
            problem = "another folder has the same name but for case or unicode form"
        if problem:
            yield Found(signer=signer, name=name, problem=problem)
        else:
            yield from _signer(folder, signer, name)


def _signer(folder: Folder, signer: str, name: str | None) -> Iterator[Found]:
    try:
        with folder.enter(signer) as own:
            present = own.names(limit=MAX_FILES)
            for pair in sigs_layout.pairs(present):
                if name is None or pair.name == name:
                    yield _entry(own, signer, pair, present)
    except Refused as refusal:
        yield Found(signer=signer, name=name, problem=refusal.brief)


def _entry(own: Folder, signer: str, pair: sigs_layout.Pair, present: tuple[str, ...]) -> Found:
    used = {pair.assertion, pair.signature} - {None}
    if names.BUILD.refusal(pair.name) or used & sigs_layout.collisions(present):
        problem = names.BUILD.refusal(pair.name) or "file names differ only in case"
        return Found(signer=signer, name=pair.name, problem=problem)
    try:
        return Found(
            signer=signer,
            name=pair.name,
            assertion=_optional(own, pair.assertion, MAX_ASSERTION),
            signature=_optional(own, pair.signature, MAX_SIGNATURE),
        )
    except Refused as refusal:
        return Found(signer=signer, name=pair.name, problem=refusal.brief)


def _optional(own: Folder, file: str | None, limit: int) -> bytes | None:
    return None if file is None else own.read(file, limit=limit)
