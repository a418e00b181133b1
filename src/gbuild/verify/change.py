"""What a proposed change of a tree of signatures may do: rules over paths alone, no I/O.

A change is accepted without a person looking only when it adds entries to one signer's own
folders, or brings one signer's key up to date. What decides about such changes (keys, policy,
signers, code) is never changed together with what it decides about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gbuild.model import sigs_layout
from gbuild.model.sigs_entries import is_entry_file
from gbuild.model.sigs_layout import collisions

_BESIDE = (".intoto.dsse.json", ".ots", ".tsr")
"""What may lie beside an assertion: an attestation, a timestamp's proof."""
_PLAIN = 0o100644


class Part(StrEnum):
    """What a path of a tree is."""

    ENTRY = "entry"
    KEY = "key"
    RULES = "rules"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """One changed path; ``mode`` is the new one."""

    path: str
    status: Literal["added", "changed", "removed"]
    mode: int = _PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What the paths of a change say.

    ``signer`` is whose entries were added; ``releases`` are the folders that hold them; ``keys``
    are the changed key files. ``problems`` refuse the change, ``notes`` want a person's eye.
    """

    signer: str | None
    releases: tuple[str, ...]
    keys: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def part_of(path: str) -> Part:
    """Say what a path is, by its name and its folders."""
    folders = path.split("/")[:-1]
    name = path.rpartition("/")[2]
    if any(folder in sigs_layout.KEY_FOLDERS for folder in folders):
        return Part.KEY
    if len(folders) >= 2 and (is_entry_file(name) or name.endswith(_BESIDE)):
        return Part.ENTRY
    return Part.RULES if name in sigs_layout.RULE_FILES else Part.OTHER


def signer_of(path: str) -> str:
    """Return whose folder an entry lies in."""
    return path.split("/")[-2]


def release_of(path: str) -> str:
    """Return the folder of the release that an entry belongs to."""
    return path.rsplit("/", 2)[0]


def review(
    proposed: Sequence[Proposed], *, present: Iterable[str], signer: str | None = None
) -> Review:
    """Hold the paths of a change against the rules.

    Args:
        proposed: every changed path.
        present: every path after the change, to find names that differ only in case.
        signer: whose change it must be, when that is known from elsewhere.
    """
    parts: dict[Part, list[Proposed]] = {part: [] for part in Part}
    for each in proposed:
        parts[part_of(each.path)].append(each)
    entries, keys = parts[Part.ENTRY], parts[Part.KEY]
    others = [*parts[Part.RULES], *parts[Part.OTHER]]
    owners = sorted({signer_of(each.path) for each in entries})
    owners = sorted({*owners, *(owner_of_key(each.path) for each in keys)})
    return Review(
        signer=owners[0] if len(owners) == 1 else None,
        releases=tuple(sorted({release_of(each.path) for each in entries})),
        keys=tuple(each.path for each in keys),
        problems=(
            *_kinds(proposed),
            *_additions(entries),
            *_owners(owners, signer),
            *_mixed(entries, keys, others),
            *_removed_keys(keys),
            *_clashes([each.path for each in entries + keys], present),
        ),
        notes=tuple(f"{each.path}: {each.status}; a maintainer must look at it" for each in others),
    )


def owner_of_key(path: str) -> str:
    """Return whose key a key file holds: its name without the suffix."""
    name = path.rpartition("/")[2]
    suffix = next((s for s in sigs_layout.KEY_SUFFIXES if name.endswith(s)), "")
    return name.removesuffix(suffix)


def _kinds(proposed: Iterable[Proposed]) -> list[str]:
    found = []
    for each in proposed:
        if not each.path.isprintable() or any("\ud800" <= c <= "\udfff" for c in each.path):
            found.append(f"{each.path!r}: a name that cannot be shown")
        elif each.status != "removed" and each.mode != _PLAIN:
            if part_of(each.path) in {Part.ENTRY, Part.KEY, Part.RULES}:
                found.append(f"{each.path}: not a plain file")
            elif each.mode in {0o120000, 0o160000}:
                found.append(f"{each.path}: a symbolic link or a submodule")
    return found


def _additions(entries: Iterable[Proposed]) -> list[str]:
    words = {"changed": "an entry may be added, never changed", "removed": "an entry must stay"}
    return [f"{each.path}: {words[each.status]}" for each in entries if each.status in words]


def _owners(owners: Sequence[str], signer: str | None) -> list[str]:
    if len(owners) > 1:
        return [f"it touches what belongs to several signers: {', '.join(owners)}"]
    if signer is not None and owners and owners[0] != signer:
        return [f"it touches what belongs to {owners[0]}, and comes from {signer}"]
    return []


def _mixed(
    entries: Sequence[Proposed], keys: Sequence[Proposed], others: Sequence[Proposed]
) -> list[str]:
    found = []
    if entries and any(each.status == "added" for each in keys):
        found.append("a new key cannot vouch for the entry it comes with: add the key by itself")
    if (entries or keys) and others:
        names = ", ".join(each.path for each in others[:5])
        found.append(f"signatures and what decides about them change together: {names}")
    return found


def _removed_keys(keys: Iterable[Proposed]) -> list[str]:
    return [
        f"{each.path}: a key must stay, old releases are checked with it"
        for each in keys
        if each.status == "removed"
    ]


def _clashes(touched: Sequence[str], present: Iterable[str]) -> list[str]:
    """Find names that equal another one beside them when case and unicode forms are folded."""
    beside: dict[str, set[str]] = {}
    wanted = {folder for path in touched for folder in _folders(path)}
    for path in present:
        above = ""
        for name in path.split("/"):
            if above in wanted:
                beside.setdefault(above, set()).add(name)
            above = f"{above}{name}/"
    return [
        f"{above}{name}: differs from another name only in case or unicode form"
        for above, names in sorted(beside.items())
        for name in sorted(collisions(names))
        if any(path.startswith(f"{above}{name}") for path in touched)
    ]


def _folders(path: str) -> list[str]:
    """Return every folder above a path, each with a slash behind it; the top is empty."""
    parts = path.split("/")
    return ["".join(f"{part}/" for part in parts[:n]) for n in range(len(parts))]
