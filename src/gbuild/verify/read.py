"""Read one release of a tree of signatures: bytes in, nothing judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.host.foreign import Folder, Refused, opened
from gbuild.host.foreign import Kind as Child
from gbuild.model import names, sigs_layout
from gbuild.model.manifest import LARGEST
from gbuild.model.sigs_entries import Pair, pairs
from gbuild.model.verdict import Kind
from gbuild.verify.places import Place, releases

__all__ = ["Found", "read_place", "read_release", "releases"]

MAX_ASSERTION = LARGEST
MAX_SIGNATURE = 1 << 18
"""Bytes of a detached signature: it has below 1 kB, a real one that was not detached 25 kB."""
MAX_MESSAGE = 8 << 20
"""Bytes of a signed message, where there is no other document."""
MAX_STAMP = 1 << 16
MAX_SIGNERS = 1_000
MAX_FILES = 1_000
MAX_RELEASE = 256 << 20
"""Bytes of all entries of a release together; the largest real release has 5 MB."""

_STAMP_SUFFIX = ".tsr"
"""Behind a signature's name: what a timestamp authority answered (RFC 3161)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The files of one entry as they lie in the tree.

    ``name`` is None when the signer's whole folder could not be read, ``signer`` is empty for a
    file in the release's own folder. ``problem`` says what was refused, ``notes`` what is odd.
    """

    signer: str
    name: str | None
    kind: Kind = Kind.GITIAN
    folder: str = ""
    assertion: bytes | None = None
    signature: bytes | None = None
    stamp: bytes | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


def read_release(root: Path, release: str, *, name: str | None = None) -> Iterator[Found]:
    """Yield every entry of ``<root>/<release>``, in the order of signer and package.

    Raises:
        Refused: the release folder does not exist or is a symbolic link.
    """
    return read_place(root, Place(tuple(release.split("/"))), name=name)


def read_place(root: Path, place: Place, *, name: str | None = None) -> Iterator[Found]:
    """Yield every entry of a release's folder, in the order of signer and package.

    Args:
        root: the tree.
        place: the release's folder.
        name: only this package's entries.

    Raises:
        Refused: the release folder does not exist or is a symbolic link, or holds more signers
            or bytes than any honest one.
    """
    left = MAX_RELEASE
    with opened(root) as tree:
        for found in _below(tree, place.folders, place, name):
            left -= len(found.assertion or b"") + len(found.signature or b"")
            if left < 0:
                raise Refused(f"release {place.path} is larger than {MAX_RELEASE} bytes")
            yield found


def _below(
    folder: Folder, folders: tuple[str, ...], place: Place, name: str | None
) -> Iterator[Found]:
    if folders:
        with folder.enter(folders[0]) as child:
            yield from _below(child, folders[1:], place, name)
    else:
        yield from _signers(folder, place.path, name)


def _signers(folder: Folder, path: str, name: str | None) -> Iterator[Found]:
    children = folder.children(limit=MAX_SIGNERS)
    present = {each: kind for each, kind in children.items() if not each.startswith(".")}
    yield from _own(folder, "", path, name, [], present)
    colliding = sigs_layout.collisions(present)
    for signer, kind in present.items():
        if kind not in {Child.FOLDER, Child.LINK} or (kind is Child.LINK and pairs([signer])):
            continue
        where = f"{path}/{signer}"
        problem = names.SIGNER.refusal(signer)
        if signer in colliding:
            problem = "another folder has the same name but for case or unicode form"
        if problem:
            yield Found(signer=signer, name=name, folder=where, problem=problem)
        else:
            yield from _signer(folder, signer, where, name, [])


def _signer(
    folder: Folder, signer: str, path: str, name: str | None, notes: list[str]
) -> Iterator[Found]:
    try:
        with folder.enter(signer) as own:
            children = own.children(limit=MAX_FILES)
            yield from _own(own, signer, path, name, notes, children)
            for inner in children:
                if inner.casefold() == signer.casefold() and children[inner] is Child.FOLDER:
                    deeper = ["it lies a folder too deep"]
                    yield from _signer(own, inner, f"{path}/{inner}", name, deeper)
    except Refused as refusal:
        yield Found(signer=signer, name=name, folder=path, problem=refusal.brief)


def _own(
    folder: Folder,
    signer: str,
    path: str,
    name: str | None,
    notes: list[str],
    children: Mapping[str, Child],
) -> Iterator[Found]:
    """Yield the entries that lie in a folder itself."""
    files = list(children)
    if signer == "":  # in a release's folder only sums can be anybody's
        own = [pair for pair in pairs(files) if pair.kind is Kind.SUMS]
    else:
        own = list(pairs(files))
    colliding = sigs_layout.collisions(files) if own else frozenset()
    for pair in own:
        if name is None or pair.name == name:
            yield _entry(folder, signer, path, pair, colliding, children, notes)


def _entry(
    folder: Folder,
    signer: str,
    path: str,
    pair: Pair,
    colliding: frozenset[str],
    children: Mapping[str, Child],
    notes: list[str],
) -> Found:
    problem = names.BUILD.refusal(pair.name)
    if {pair.assertion, pair.signature} & colliding:
        problem = "file names differ only in case"
    if problem:
        return Found(signer=signer, name=pair.name, folder=path, problem=problem)
    largest = MAX_SIGNATURE if pair.assertion else MAX_MESSAGE
    stamp = f"{pair.signature}{_STAMP_SUFFIX}"
    try:
        return Found(
            signer=signer,
            name=pair.name,
            kind=pair.kind,
            folder=path,
            assertion=_optional(folder, pair.assertion, MAX_ASSERTION),
            signature=_optional(folder, pair.signature, largest),
            stamp=_optional(folder, stamp if stamp in children else None, MAX_STAMP),
            notes=(*notes, *(f"{other} was not looked at" for other in pair.others)),
        )
    except Refused as refusal:
        return Found(signer=signer, name=pair.name, folder=path, problem=refusal.brief)


def _optional(own: Folder, file: str | None, limit: int) -> bytes | None:
    return None if file is None else own.read(file, limit=limit)
