"""Where things lie in a tree of signatures: path rules only, nothing is opened.

A tree is ``<root>/<release>/<signer>/<name>-build.assert`` with ``.sig`` beside it, as Gitian
wrote it (:mod:`gbuild.model.sigs_entries` knows all names of files); folders such as ``archive``
or ``<package>`` may lie above the releases. In a workspace the root is ``sigs/<name>``. Public
keys lie in a folder beside the releases, or one level above.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

ASSERTION_SUFFIX = "-build.assert"
SIGNATURE_SUFFIX = "-build.assert.sig"

STAGES = ("noncodesigned", "all")
"""Manifests of a release with code signatures: before they were put on, and everything."""

KEYS_FOLDER = "builder-keys"
"""Where gsign puts the signer's public key."""

KEY_FOLDERS = (KEYS_FOLDER, "keys", "gitian-keys", "gitian-pubkeys")
"""Names under which real trees keep the public keys of their signers."""

KEY_SUFFIXES = (".asc", ".gpg", ".pgp", ".key")

SIGNERS_FILE = "signers.yml"
"""Which keys may sign in which signer's folder."""

POLICY_FILE = "policy.yml"
"""Who must have signed a release."""

RULE_FILES = (SIGNERS_FILE, POLICY_FILE)


def assertion_name(name: str) -> str:
    """Return the file name of a package's assertion."""
    return f"{name}{ASSERTION_SUFFIX}"


def signature_name(name: str) -> str:
    """Return the file name of the detached signature that gsign writes."""
    return f"{name}{SIGNATURE_SUFFIX}"


def stage_name(stage: str) -> str:
    """Return the file name of one stage's manifest, as Bitcoin's guix-attest has it."""
    return f"{stage}.SHA256SUMS"


def stage_signature_name(stage: str) -> str:
    """Return the file name of the armored detached signature of one stage's manifest."""
    return f"{stage}.SHA256SUMS.asc"


def attestation_name(name: str) -> str:
    """Return the file name of a DSSE envelope beside an assertion."""
    return f"{name}-build.intoto.dsse.json"


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


def collisions(names: Iterable[str]) -> frozenset[str]:
    """Return the names that another one equals when case and unicode forms are folded."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(_fold(name), []).append(name)
    return frozenset(name for group in folded.values() if len(group) > 1 for name in group)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
