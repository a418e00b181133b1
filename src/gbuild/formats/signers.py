"""``signers.yml``: which keys may sign in which folders, and whose they are.

The format is ours::

    signers:
      alice:                    # the person, and the first of her folders
        keys:                   # primary fingerprints, all digits
        - 0123456789ABCDEF0123456789ABCDEF01234567
        folders:                # further folders of the same person, if any
        - alice@example.org

A key and a folder belong to one person only, whatever their case. Keys that are not listed are
not used at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gbuild.formats import located_yaml
from gbuild.formats.fields import Fields, Findings
from gbuild.formats.located_yaml import Mapping, Node, Sequence, Text
from gbuild.formats.problems import InvalidText, Problem
from gbuild.model import names

FILE = "signers.yml"
_BOUNDS = located_yaml.Bounds(size=1 << 20, nodes=50_000, depth=5)
_FINGERPRINT = re.compile(r"(?:0x)?([0-9A-Fa-f]{40})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One person: their folders (the first is their name) and primary fingerprints."""

    name: str
    folders: tuple[str, ...]
    keys: tuple[str, ...]


def read_signers(data: bytes) -> tuple[Registered, ...]:
    """Read the file.

    Raises:
        InvalidText: with every problem found, among them an unknown key.
    """
    root = located_yaml.parse(data, bounds=_BOUNDS)
    findings = Findings()
    found: tuple[Registered, ...] = ()
    if isinstance(root, Mapping):
        listed = Fields(root, ("signers",), findings, "the file").node_of("signers")
        found = tuple(_persons(listed, findings))
    else:
        findings.problems.append(Problem("the file is no map", 1, 1, "signers: and persons in it"))
    problems = (*findings.problems, *findings.warnings)
    if problems:
        raise InvalidText(problems)
    return found


def _persons(node: Node | None, findings: Findings) -> Iterator[Registered]:
    if not isinstance(node, Mapping):
        if node is not None:
            findings.refuse(node, "signers is no map", "a person's name, and keys below it")
        return
    taken: set[str] = set()
    for name, value in node.pairs:
        if not isinstance(value, Mapping):
            findings.refuse(value, f"{names.shown(name.value)} has no keys", "keys: and a list")
            continue
        fields = Fields(value, ("keys", "folders"), findings, f"signer {names.shown(name.value)}")
        folders = [name, *_texts(fields.node_of("folders"), findings)]
        keys = _texts(fields.node_of("keys"), findings)
        if not keys:
            findings.refuse(name, f"{names.shown(name.value)} has no keys", "a fingerprint or more")
        yield Registered(
            name=name.value,
            folders=tuple(_folder(each, taken, findings) for each in folders),
            keys=tuple(_key(each, taken, findings) for each in keys),
        )


def _texts(node: Node | None, findings: Findings) -> list[Text]:
    items = node.items if isinstance(node, Sequence) else () if node is None else (node,)
    found = [item for item in items if isinstance(item, Text)]
    for item in items:
        if not isinstance(item, Text):
            findings.refuse(item, "a list or a map", "text")
    return found


def _folder(text: Text, taken: set[str], findings: Findings) -> str:
    if reason := names.SIGNER.refusal(text.value):
        findings.refuse(text, reason, names.SIGNER.expected)
    _once(text, text.value.casefold(), taken, findings)
    return text.value


def _key(text: Text, taken: set[str], findings: Findings) -> str:
    match = _FINGERPRINT.fullmatch(text.value.replace(" ", ""))
    if match is None:
        reason = f"not a fingerprint: {names.shown(text.value)}"
        findings.refuse(text, reason, "all 40 hexadecimal digits of the primary key")
        return ""
    _once(text, "key " + match[1].upper(), taken, findings)
    return match[1].upper()


def _once(text: Text, what: str, taken: set[str], findings: Findings) -> None:
    if what in taken:
        findings.refuse(text, f"{names.shown(text.value)} is given twice", "once for one person")
    taken.add(what)
