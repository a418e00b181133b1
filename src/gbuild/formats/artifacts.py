"""The files that a document vouches for, as a map that can be compared and shown.

Refused is what can only be there to mislead a person or a program: names that leave their
folder, names that cannot be seen as they are, and two names for one file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from gbuild.formats.manifest import MalformedManifest, read_manifest
from gbuild.model.manifest import Entry
from gbuild.model.names import shown

_LETTER = r"A-Za-z0-9_+,~@=%#()\[\]{}!$&;'^ -"
_PART = rf"(?!\.(?:[./\n]|\Z))[.{_LETTER}][.{_LETTER}]*+"
"""Only its last piece is possessive: possessive groups of Python 3.11 match ``b/``."""
_PLAIN = re.compile(_PART)
"""A component of a path that needs no closer look."""

_PLAIN_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
"""A path of such components: looked at as a whole, because trees have fifty thousand of them."""

_PLAIN_LIST = re.compile(rf"(?:[0-9a-f]{{64}}  {_PART}(?:/{_PART})*\n)+")
"""A manifest of nothing but such paths; it is taken apart without a look at each line."""
_LARGEST = 1 << 20
"""Characters of a manifest that is looked at as a whole: what can be taken back costs memory."""
_PATH = 66
"""Where a line's path begins: behind 64 digits and two spaces."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
"""Scripts whose letters look like each other's (Unicode Technical Standard 39, section 4)."""


def listed(text: str) -> dict[str, str]:
    """Return sha256 by path of a manifest's text.

    Raises:
        MalformedManifest: as :func:`gbuild.formats.manifest.read_manifest` and :func:`artifacts`.
    """
    if len(text) <= _LARGEST and _PLAIN_LIST.fullmatch(text):
        lines = text[:-1].split("\n")
        found = {line[_PATH:]: line[: _PATH - 2] for line in lines}
        if len({path.casefold() for path in found}) == len(lines):
            return found
    return artifacts(read_manifest(text))


def artifacts(entries: Iterable[Entry]) -> dict[str, str]:
    """Return sha256 by path.

    Raises:
        MalformedManifest: a path is absolute, climbs, cannot be told from another one, or holds
            invisible characters or letters of two scripts that look alike.
    """
    found: dict[str, str] = {}
    folded: dict[str, str] = {}
    for entry in entries:
        _check(entry.path)
        other = folded.setdefault(_fold(entry.path), entry.path)
        if other != entry.path:
            raise MalformedManifest(
                f"two paths that differ only in case or form: {shown(other)}, {shown(entry.path)}"
            )
        found[entry.path] = entry.digest
    return found


def _check(path: str) -> None:
    if _PLAIN_PATH.fullmatch(path):
        return
    for part in path.split("/"):
        if _PLAIN.fullmatch(part):
            continue
        if part in {"", ".", ".."} or "\\" in part:
            raise MalformedManifest(f"a path that leaves its folder: {shown(path)}")
        _check_letters(part, path)


def _check_letters(part: str, path: str) -> None:
    """Look at every character of a component with anything unusual in it."""
    unseen = any(c != " " and unicodedata.category(c) in _INVISIBLE for c in part)
    if unseen or unicodedata.normalize("NFKC", part) != part:
        raise MalformedManifest(f"a path with characters that are not seen: {shown(path)}")
    scripts = {unicodedata.name(c, "").split(" ")[0] for c in part if c.isalpha()} & _ALIKE
    if len(scripts) > 1:
        raise MalformedManifest(
            f"a path that mixes look-alike letters ({', '.join(sorted(scripts))}): {shown(path)}"
        )


def _fold(path: str) -> str:
    return path.casefold()
