"""Whose key is it, and in whose folder may it sign?

With a ``signers.yml`` it alone says so. Without one the names of the key files do:
``alice.asc`` (also ``alice-key.pgp``, ``alice_old.asc``, ``alice_v1.2.asc``) is alice's. A folder
that no key file names is bound to nobody; one that is an e-mail address, a key id or a
fingerprint is its owner's when the key of one person says the same. Keys whose files carry one
name, or whose user ids claim one e-mail address, are one person's: so two keys never count as
two persons by accident (and who claims another's address gains nothing: they count together).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gbuild.formats.openpgp_keys import PublicKey
from gbuild.formats.signers import Registered
from gbuild.model.verdict import Bound

_EXTRA = re.compile(r"(?:[-_.](?:key|pubkey|pub|gpg|pgp|old|new|v?[0-9][0-9.]*))+\Z", re.IGNORECASE)
"""What follows a signer's name in the names of real key files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A key and the name of its file without the suffix; None when it came without a file."""

    key: PublicKey
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Persons by primary fingerprint, and the fingerprints that may sign in a folder.

    Folders are case folded. ``circles`` names those who are counted as one person.
    """

    persons: Mapping[str, str] = field(default_factory=dict)
    circles: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def person(self, fingerprint: str | None) -> str | None:
        """Return the person's name; None when nobody is bound to that key."""
        return None if fingerprint is None else self.persons.get(fingerprint)

    def circle(self, fingerprint: str | None) -> str | None:
        """Return as whom the key is counted; None when nobody is bound to it."""
        return None if fingerprint is None else self.circles.get(fingerprint)

    def bound(self, folder: str, fingerprint: str) -> Bound:
        """Say whether a key may sign in a signer's folder."""
        own = self.folders.get(folder.casefold())
        if own is None:
            return Bound.UNKNOWN
        return Bound.OWN if fingerprint in own else Bound.FOREIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry(Binding):
    """A binding that is complete: folders that are not in it are nobody's."""

    def bound(self, folder: str, fingerprint: str) -> Bound:
        """Say whether a key may sign in a signer's folder."""
        own = self.folders.get(folder.casefold(), frozenset())
        return Bound.OWN if fingerprint in own else Bound.FOREIGN


def by_registry(registered: Iterable[Registered]) -> Registry:
    """Bind what a ``signers.yml`` binds."""
    listed = tuple(registered)
    persons = {key: each.name for each in listed for key in each.keys}
    return Registry(
        persons=persons,
        circles=persons,
        folders={
            folder.casefold(): frozenset(each.keys) for each in listed for folder in each.folders
        },
    )


def by_names(keys: Iterable[NamedKey]) -> Binding:
    """Bind by the names of key files and by what the keys say of themselves."""
    listed = tuple(keys)
    folders: dict[str, set[str]] = {}
    for each in listed:
        for name in _names(each.name):
            folders.setdefault(name, set()).add(each.key.fingerprint)
    for name, own in _claims(listed).items():
        if name not in folders and len({stem(each.name or "") for each in own}) == 1:
            folders[name] = {each.key.fingerprint for each in own}
    return Binding(
        persons={each.key.fingerprint: _called(each) for each in reversed(listed)},
        circles=_circles(listed),
        folders={name: frozenset(own) for name, own in folders.items()},
    )


def _names(file: str | None) -> frozenset[str]:
    if file is None:
        return frozenset()
    return frozenset({file.casefold(), stem(file).casefold()})


def stem(name: str) -> str:
    """Return a key file's name without what follows the signer's (``-key``, ``_old``, ``_v1``)."""
    return _EXTRA.sub("", name) or name


def _claims(keys: Iterable[NamedKey]) -> Mapping[str, list[NamedKey]]:
    claims: dict[str, list[NamedKey]] = {}
    for each in keys:
        for name in _claimed(each.key):
            claims.setdefault(name, []).append(each)
    return claims


def _claimed(key: PublicKey) -> frozenset[str]:
    """Return the folders that are a key's by its own words: addresses, key ids, fingerprint."""
    ids = {each[-length:] for each in (key.fingerprint, *key.subkeys) for length in (16, 40)}
    return key.addresses | {form.casefold() for each in ids for form in (each, f"0x{each}")}


def _circles(keys: tuple[NamedKey, ...]) -> Mapping[str, str]:
    """Name as whom every key is counted: keys that share a name or an address are joined."""
    groups: dict[str, set[int]] = {}
    for index, each in enumerate(keys):
        marks = {f"name {stem(each.name).casefold()}"} if each.name else set[str]()
        marks |= {f"address {address}" for address in each.key.addresses}
        for mark in marks | {f"key {each.key.fingerprint}"}:
            groups.setdefault(mark, set()).add(index)
    leader = list(range(len(keys)))
    for group in groups.values():
        first = min(_leader(leader, index) for index in group)
        for index in group:
            leader[_leader(leader, index)] = first
    return {
        each.key.fingerprint: _called(keys[_leader(leader, index)])
        for index, each in enumerate(keys)
    }


def _leader(leader: list[int], index: int) -> int:
    while leader[index] != index:
        leader[index] = leader[leader[index]]
        index = leader[index]
    return index


def _called(key: NamedKey) -> str:
    return stem(key.name) if key.name else key.key.fingerprint
