"""Where things lie in a tree of signatures: path rules only, nothing is opened.

A tree is ``<root>/<release>/<signer>/<name>-build.assert`` with ``.sig`` beside it, as Gitian
wrote it. In a workspace the root is ``sigs/<name>``. Public keys lie in a folder beside the
releases, or one level above.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ASSERTION_SUFFIX = "-build.assert"
SIGNATURE_SUFFIX = "-build.assert.sig"
LONE_SIGNATURE_SUFFIX = "-build.sig"

KEYS_FOLDER = "builder-keys"
"""Where gsign puts the signer's public key."""

KEY_FOLDERS = (KEYS_FOLDER, "keys", "gitian-keys", "gitian-pubkeys")
"""Names under which real trees keep the public keys of their signers."""

KEY_SUFFIXES = (".asc", ".gpg", ".pgp", ".key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The files of one entry: either may be absent, never both."""

    name: str
    assertion: str | None
    signature: str | None


def assertion_name(name: str) -> str:
    """Return the file name of a package's assertion."""
    return f"{name}{ASSERTION_SUFFIX}"


def signature_name(name: str) -> str:
    """Return the file name of the detached signature that gsign writes."""
    return f"{name}{SIGNATURE_SUFFIX}"


def signer_folder(root: Path, release: str, signer: str) -> Path:
    """Return where a signer's files of a release lie below a tree's root."""
    return root / release / signer


def key_folders(root: Path) -> tuple[Path, ...]:
    """Return where a tree may keep keys: beside its releases, or in the top of its ``sigs``.

    Outside a folder called ``sigs`` nobody has promised that what lies above belongs to the tree.
    """
    above = "sigs" in (root.name, root.parent.name)
    places = (root, root.parent) if above else (root,)
    return tuple(place / name for place in places for name in KEY_FOLDERS)


def pairs(files: Iterable[str]) -> tuple[Pair, ...]:
    """Pair the file names of one signer's folder, sorted by package; others are left out.

    ``<name>-build.sig`` is taken where ``<name>-build.assert.sig`` does not exist.
    """
    present = set(files)
    names = {stem for file in present if (stem := _stem(file))}
    return tuple(_pair(name, present) for name in sorted(names))


def _stem(file: str) -> str | None:
    for suffix in (SIGNATURE_SUFFIX, ASSERTION_SUFFIX, LONE_SIGNATURE_SUFFIX):
        if file.endswith(suffix):
            return file.removesuffix(suffix) or None
    return None


def _pair(name: str, present: set[str]) -> Pair:
    assertion = assertion_name(name)
    candidates = (signature_name(name), f"{name}{LONE_SIGNATURE_SUFFIX}")
    return Pair(
        name=name,
        assertion=assertion if assertion in present else None,
        signature=next((file for file in candidates if file in present), None),
    )


def collisions(names: Iterable[str]) -> frozenset[str]:
    """Return the names that another one equals when case and unicode forms are folded."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(_fold(name), []).append(name)
    return frozenset(name for group in folded.values() if len(group) > 1 for name in group)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
