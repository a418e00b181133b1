r"""The configuration of Gitian's downloader: who signs, what they weigh, where the files are.

The shape, from its documentation and from what projects keep in ``contrib/gitian-downloader``::

    name: hello
    urls:                               # addresses of a package, or maps with url and version_url
    - https://example.org/hello-linux-gitian.zip
    rss:                                # where newer packages are announced
    - url: https://example.org/hello.rss
      xpath: //item/link/text()
      pattern: hello-(\d+.\d+.\d+)-linux-gitian.zip
    waiting_period: 24                  # hours
    signers:
      0A82509767C7D4A5D14DA2301AE1D35043E08E54:
        weight: 40
        name: Alice
        key: alice                      # alice-key.pgp, or the key itself as armored text
    minimum_weight: 80

A key id stands for a fingerprint only together with the key itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gbuild.errors import UsageFailure
from gbuild.formats import located_yaml
from gbuild.formats.fields import Fields, Findings
from gbuild.formats.located_yaml import Mapping, Node, Text
from gbuild.formats.openpgp_keys import NotAKey, read_keys
from gbuild.formats.problems import InvalidText, Problem, refuse
from gbuild.model.names import shown
from gbuild.model.policy import Group, Member, Person, Policy

_BOUNDS = located_yaml.Bounds(size=4 << 20, nodes=20_000, depth=6)
_KEYS = ("name", "urls", "rss", "signers", "minimum_weight", "waiting_period")
_SIGNER_KEYS = ("weight", "name", "key", "keyid", "url")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}", re.ASCII)
_ID = re.compile(r"[0-9A-F]{16}", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}", re.ASCII)
_URL = re.compile(r"(?:https?|file)://[!-~]{1,2000}", re.ASCII)
_WAY = re.compile(
    r"//?[A-Za-z_][A-Za-z0-9_.-]*(?:/[A-Za-z_][A-Za-z0-9_.-]*){0,20}/text\(\)", re.ASCII
)
_LONGEST_PATTERN = 500
_ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_LARGEST = 1_000_000
_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One key: whose it is and what it weighs; ``key`` is its armored text or ``file`` its name."""

    name: str
    fingerprint: str
    weight: int | None = None
    key: bytes = b""
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a package lies, and perhaps where a line says which release that is."""

    url: str
    version_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An RSS document, the way to its links (``//item/link/text()``), and how the wanted looks."""

    url: str
    xpath: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadConfig:
    """What such a file says; ``waiting`` is in seconds."""

    name: str | None
    signers: tuple[Signer, ...]
    addresses: tuple[Address, ...] = ()
    feeds: tuple[Feed, ...] = ()
    minimum: int | None = None
    waiting: int | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Where files lie, when signatures come from elsewhere."""
        return tuple(each.url for each in self.addresses)

    def policy(self, persons: int | None = None) -> Policy:
        """Return the policy; several keys with one name are one person.

        Args:
            persons: how many must agree, for a file without weights.

        Raises:
            UsageFailure: the file has no weights and nobody says how many, or both do.
        """
        people = _persons(self.signers)
        if self.minimum is None and persons is None:
            raise UsageFailure(
                "the download config gives no weights, so it does not say how many must agree",
                hint="--persons N",
            )
        if self.minimum is not None and persons is not None:
            raise UsageFailure("the download config has weights: --persons has no place beside it")
        minimum = self.minimum or persons or 1
        weights = {each.name: each.weight or 1 for each in self.signers}
        group = Group(tuple(Member(each.name, weights[each.name]) for each in people), minimum)
        if minimum > group.total:
            raise UsageFailure(
                f"the download config asks for {minimum}, but all together are {group.total}"
            )
        return Policy(persons=people, require=group, minimum_age=self.waiting or None)


def read_config(data: bytes, *, path: str) -> DownloadConfig:
    """Read a download config.

    Raises:
        UsageFailure: it does not follow the shape; details hold one block per problem.
    """
    findings = Findings()
    found = DownloadConfig(name=None, signers=())
    try:
        node = located_yaml.parse(data, bounds=_BOUNDS)
        if isinstance(node, Mapping):
            found = _config(node, findings)
        else:
            findings.problems.append(Problem("the file is no map", 1, 1, "signers: and more"))
    except InvalidText as error:
        findings.problems += error.problems
    if findings.problems:
        shown_problems = refuse(path, data, findings.problems)
        raise UsageFailure(
            shown_problems.brief,
            details=shown_problems.details,
            hint="docs/how-to/download.md shows one",
        )
    return found


def _config(node: Mapping, findings: Findings) -> DownloadConfig:
    fields = Fields(node, _KEYS, findings, "a download config")
    signers = tuple(_signers(fields.node_of("signers"), fields, findings))
    minimum = _number(fields.text("minimum_weight"), "minimum_weight", findings)
    _check_weights(fields, signers, minimum, findings)
    hours = _number(fields.text("waiting_period"), "waiting_period", findings, least=0)
    name = fields.text("name")
    return DownloadConfig(
        name=name.value if name else None,
        addresses=tuple(_addresses(fields, findings)),
        feeds=tuple(_feeds(fields, findings)),
        signers=signers,
        minimum=minimum,
        waiting=None if hours is None else hours * _HOUR,
    )


def _check_weights(
    fields: Fields, signers: Sequence[Signer], minimum: int | None, findings: Findings
) -> None:
    weighted = [each for each in signers if each.weight is not None]
    if (minimum is None and not weighted) or not signers:
        return
    place = fields.node_of("minimum_weight") or fields.node
    if minimum is None:
        findings.refuse(place, "there are weights and no minimum_weight", "minimum_weight: 80")
    if len(weighted) != len(signers):
        findings.refuse(place, "some signers have no weight", "a weight for every signer")
    by_name: dict[str, int | None] = {}
    for each in signers:
        if by_name.setdefault(each.name, each.weight) != each.weight:
            findings.refuse(
                place, f"two weights for {shown(each.name)}", "one weight for one person"
            )


def _addresses(fields: Fields, findings: Findings) -> Iterator[Address]:
    for item in fields.items("urls", expected="a list of addresses"):
        if not isinstance(item, Mapping):
            url, version = _url(item, findings), None
        else:
            entry = Fields(item, ("url", "version_url"), findings, "an address")
            url = _url(entry.required("url", expected="an address"), findings)
            version = _url(entry.node_of("version_url"), findings)
        if url is not None:
            yield Address(url=url, version_url=version)


def _url(node: Node | None, findings: Findings) -> str | None:
    if isinstance(node, Text) and _URL.fullmatch(node.value):
        return node.value
    if node is not None:
        findings.refuse(node, "not an address", "http://..., https://... or file://...")
    return None


def _feeds(fields: Fields, findings: Findings) -> Iterator[Feed]:
    for item in fields.mappings("rss", "maps with url, xpath and pattern"):
        entry = Fields(item, ("url", "xpath", "pattern"), findings, "a feed")
        url = _url(entry.required("url", expected="an address"), findings)
        way = entry.required("xpath", expected="//item/link/text()")
        if way and not _WAY.fullmatch(way.value):
            findings.refuse(way, "not a way that is followed", "such as //item/link/text()")
        pattern = _pattern(entry.required("pattern", expected="an expression"), findings)
        if url and way and pattern:
            yield Feed(url=url, xpath=way.value, pattern=pattern)


def _pattern(node: Text | None, findings: Findings) -> re.Pattern[str] | None:
    if node is None:
        return None
    try:
        if len(node.value) <= _LONGEST_PATTERN:
            return re.compile(node.value)
        findings.refuse(node, "the pattern is too long", f"at most {_LONGEST_PATTERN} letters")
    except (re.error, RecursionError, OverflowError) as error:
        findings.refuse(node, f"not a regular expression: {error}", r"hello-(\d+\.\d+)\.zip")
    return None


def _signers(node: Node | None, fields: Fields, findings: Findings) -> Iterator[Signer]:
    if not isinstance(node, Mapping) or not node.pairs:
        findings.refuse(node or fields.node, "there are no signers", "fingerprints and names")
        return
    seen: set[str] = set()
    for key, value in node.pairs:
        if not isinstance(value, Mapping):
            findings.refuse(value, f"nothing is said of {shown(key.value)}", "name, weight, key")
            continue
        signer = _signer(key, Fields(value, _SIGNER_KEYS, findings, "a signer"), findings)
        if signer is None:
            continue
        if signer.fingerprint in seen:
            findings.refuse(key, f"{signer.fingerprint} stands there twice", "every key once")
        seen.add(signer.fingerprint)
        yield signer


def _signer(key: Text, fields: Fields, findings: Findings) -> Signer | None:
    text = re.sub(r"\s", "", key.value).upper().removeprefix("0X")
    given = fields.text("key")
    armored = given.value.encode() if given and _ARMOR in given.value else b""
    file = given.value if given and not armored else None
    if file is not None and given is not None and not _FILE.fullmatch(file):
        findings.refuse(given, f"not the name of a key: {shown(file)}", "a word, or armored text")
        file = None
    fingerprint = _fingerprint(key, text, armored, findings)
    if fingerprint is None:
        return None
    name = fields.text("name")
    weight = fields.text("weight")
    return Signer(
        name=(name.value.strip() if name else "") or fingerprint,
        fingerprint=fingerprint,
        weight=_number(weight, "weight", findings),
        key=armored,
        file=file,
    )


def _fingerprint(key: Text, text: str, armored: bytes, findings: Findings) -> str | None:
    """Return the whole fingerprint; the key itself must be there for a key id."""
    if armored:
        try:
            (found,) = read_keys(armored)
        except (NotAKey, ValueError):
            findings.refuse(key, f"the key of {shown(text)} cannot be read", "one public key")
            return None
        if (_ID.fullmatch(text) or _FINGERPRINT.fullmatch(text)) and found.fingerprint.endswith(
            text
        ):
            return found.fingerprint
        findings.refuse(key, f"{shown(text)} has the key {found.fingerprint}", "its own key")
        return None
    if _FINGERPRINT.fullmatch(text):
        return text
    findings.refuse(
        key, f"not a fingerprint: {shown(text)}", "40 hex digits, or 16 and the armored key"
    )
    return None


def _number(node: Text | None, what: str, findings: Findings, *, least: int = 1) -> int | None:
    if node is None:
        return None
    text = node.value.strip()
    if text.isascii() and text.isdecimal() and len(text) < 8 and least <= int(text) <= _LARGEST:
        return int(text)
    findings.refuse(node, f"{what} is no number", f"a whole number from {least} to {_LARGEST}")
    return None


def _persons(signers: Sequence[Signer]) -> tuple[Person, ...]:
    people: dict[str, Person] = {}
    for each in signers:
        known = people.get(each.name, Person(name=each.name))
        people[each.name] = replace(known, keys=known.keys | {each.fingerprint})
    return tuple(people.values())
