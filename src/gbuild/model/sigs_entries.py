"""Which files of a folder are an entry: a document and what signs it, by their names alone.

Names taken from public trees:

* Gitian: ``<name>-build.assert`` with ``.sig``, ``.asc`` or ``.gpg`` behind it, or
  ``<name>-build.sig`` (``.asc``, ``.gpg``), also as ``<name>.build.sig``;
* Bitcoin's guix.sigs: ``<stage>.SHA256SUMS`` with ``.asc`` (``.sig``, ``.gpg``) behind it;
* plain ``SHA256SUMS``, also ``sha256sums.txt``, with the same.

Where only the signature file is there it may be an inline-signed message that holds the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gbuild.model.verdict import Kind

SIGNATURE_SUFFIXES = (".sig", ".asc", ".gpg", ".pgp")
"""Behind a document's name, in the order of preference when there are several."""

_GITIAN = re.compile(r"(?P<name>.+)[-.]build\.assert", re.DOTALL)
_SUMS = re.compile(r"(?P<name>.+\.)?sha256sums(\.txt)?", re.IGNORECASE | re.DOTALL)
_LONE = re.compile(r"(?P<name>.+)[-.]build(?=\.(sig|asc|gpg|pgp)\Z)", re.DOTALL)
_PLAIN_SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The files of one entry: either may be absent, never both.

    ``others`` are further signature files of the same document, which are not looked at.
    """

    name: str
    kind: Kind
    assertion: str | None
    signature: str | None
    others: tuple[str, ...] = ()


def is_entry_file(file: str) -> bool:
    """Say whether a file of that name belongs to an entry."""
    return _belongs(file) is not None


def pairs(files: Iterable[str]) -> tuple[Pair, ...]:
    """Pair the file names of one folder, sorted by package; files of no entry are left out."""
    groups: dict[tuple[str, Kind], list[str]] = {}
    for file in sorted(files):
        if found := _belongs(file):
            groups.setdefault(found, []).append(file)
    return tuple(pair for key in sorted(groups) for pair in _pairs(*key, groups[key]))


def _belongs(file: str) -> tuple[str, Kind] | None:
    """Return the name and the kind of the document that a file is, or signs."""
    stem = _signed(file)
    document = stem or file
    if match := _GITIAN.fullmatch(document):
        return match["name"], Kind.GITIAN
    if match := _SUMS.fullmatch(document):
        return (match["name"] or _PLAIN_SUMS).removesuffix("."), Kind.SUMS
    if stem and (match := _LONE.match(file)):
        return match["name"], Kind.GITIAN
    return None


def _signed(file: str) -> str | None:
    return next((file.removesuffix(s) for s in SIGNATURE_SUFFIXES if file.endswith(s)), None)


def _pairs(name: str, kind: Kind, files: list[str]) -> Iterator[Pair]:
    """Make one pair, or one of every document when two have names that mean the same."""
    documents: list[str | None] = [file for file in files if _signed(file) is None]
    signatures = [file for file in files if _signed(file) is not None]
    for document in documents or [None]:
        own = sorted(
            (f for f in signatures if len(documents) < 2 or _signed(f) == document),
            key=lambda file: _preference(file, document),
        )
        yield Pair(
            name=name,
            kind=kind,
            assertion=document,
            signature=own[0] if own else None,
            others=tuple(own[1:]),
        )


def _preference(file: str, document: str | None) -> tuple[bool, int]:
    """Put what is named after the whole document first, then what is a detached signature."""
    suffix = next(i for i, s in enumerate(SIGNATURE_SUFFIXES) if file.endswith(s))
    return _signed(file) != document, suffix
