"""The policy file: YAML, strict, every problem with its place. See docs/reference/policy.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gbuild.errors import UsageFailure
from gbuild.formats import located_yaml
from gbuild.formats.fields import Fields, Findings, Shape, distinct
from gbuild.formats.located_yaml import Mapping, Node, Sequence, Text
from gbuild.formats.problems import nearest
from gbuild.formats.rules import Rules
from gbuild.model import names
from gbuild.model.policy import BROKEN, Anyone, ForArtifacts, Person, Policy, Rule

FORMAT = "gbuild.policy/1"
BOUNDS = located_yaml.Bounds(size=1 << 20, nodes=20_000, depth=16)

_KEYS = (
    "format",
    "persons",
    "groups",
    "require",
    "artifacts",
    "weak_signatures",
    "expired_keys",
    "maximum_age",
    "minimum_age",
    "copies",
    "broken_entries",
)
_AGE = re.compile(r"([1-9][0-9]{0,5}) *(hour|day|week|year)s?")
_UNITS = {"hour": 3600, "day": 86_400, "week": 604_800, "year": 31_536_000}
_AGE_EXPECTED = "a number of hours, days, weeks or years, such as 3 days"
_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?")
_FINGERPRINT_EXPECTED = "the whole fingerprint of a primary key: 40 hex digits"
_WEAKNESS = re.compile(r"[A-Za-z0-9*?-]{1,20}")
_WEAKNESS_EXPECTED = "a digest such as SHA1, a key such as DSA-1024, or a pattern such as DSA-*"


class PolicyInvalid(UsageFailure):
    """A policy that does not follow its schema; details hold one block per problem."""


_SHAPE = Shape(
    what="a policy",
    form=FORMAT,
    keys=_KEYS,
    bounds=BOUNDS,
    kind=PolicyInvalid,
    hint="the keys are in docs/reference/policy.md",
)


def read_policy(data: bytes, *, path: str) -> Policy:
    """Read a policy file.

    Args:
        data: its bytes.
        path: how to call it in errors.

    Raises:
        PolicyInvalid: with every problem found and its place.
    """
    return _SHAPE.read(data, lambda fields: _Reader(fields.findings, fields).policy(), path=path)


@dataclass(slots=True)
class _Reader:
    findings: Findings
    fields: Fields

    def policy(self) -> Policy:
        persons = tuple(self._persons())
        rules = Rules({person.name for person in persons}, self.findings)
        rules.groups(self._mapping("groups", "a name and its rule a line"))
        return Policy(
            persons=persons,
            require=self._require(rules),
            artifacts=tuple(self._artifacts(rules)),
            weak=frozenset(self._weak()),
            expired=self._choice("expired_keys", "refuse", "with-evidence"),
            maximum_age=self._age("maximum_age"),
            minimum_age=self._age("minimum_age"),
            copies=not self._choice("copies", "count", "once"),
            broken=frozenset() if self._choice("broken_entries", "refuse", "ignore") else BROKEN,
        )

    def _choice(self, key: str, usual: str, other: str) -> bool:
        return self.fields.choice(key, (usual, other)) == other

    def _require(self, rules: Rules) -> Rule:
        node = self.fields.node_of("require")
        if node is None:
            expected = "a person, a group, anyone, or a rule such as at_least: 2, of: anyone"
            self.findings.refuse(self.fields.node, "a policy has no require", expected)
            return Anyone()
        return rules.rule(node)

    def _mapping(self, key: str, expected: str) -> tuple[tuple[Text, Node], ...]:
        node = self.fields.node_of(key)
        if node is None or isinstance(node, Mapping):
            return node.pairs if node else ()
        self.findings.refuse(node, f"{key} is not a mapping", expected)
        return ()

    def _persons(self) -> Iterator[Person]:
        seen: list[tuple[str, Node]] = []
        pairs = self._mapping("persons", "a name and its keys a line")
        distinct([(key.value, key) for key, _ in pairs], "person", self.findings)
        for key, node in pairs:
            if reason := names.SIGNER.refusal(key.value):
                self.findings.refuse(key, f"a person's name: {reason}", names.SIGNER.expected)
            yield self._person(key, node, seen)
        distinct(seen, "the key", self.findings)

    def _person(self, name: Text, node: Node, seen: list[tuple[str, Node]]) -> Person:
        if not isinstance(node, Mapping):
            return Person(name=name.value, keys=frozenset(self._keys(node, seen)))
        fields = Fields(node, ("keys", "signers"), self.findings, "a person")
        keys = fields.node_of("keys")
        signers = fields.names("signers", names.SIGNER)
        return Person(
            name=name.value,
            keys=frozenset(self._keys(keys, seen)) if keys else frozenset(),
            signers=frozenset(signer.value for signer in signers),
        )

    def _keys(self, node: Node, seen: list[tuple[str, Node]]) -> Iterator[str]:
        """Read one fingerprint or a list; nothing at all leaves it to the tree's binding."""
        if isinstance(node, Text) and node.is_null:
            return
        items = node.items if isinstance(node, Sequence) else (node,)
        if not items:
            self.findings.refuse(node, "an empty list of keys", _FINGERPRINT_EXPECTED)
        for item in items:
            text = re.sub(r"\s", "", item.value).upper() if isinstance(item, Text) else ""
            text = text.removeprefix("0X")
            if not _FINGERPRINT.fullmatch(text):
                self.findings.refuse(item, "not a fingerprint", _FINGERPRINT_EXPECTED)
            else:
                seen.append((text, item))
                yield text

    def _artifacts(self, rules: Rules) -> Iterator[ForArtifacts]:
        expected = "match: a glob, require: a rule"
        for node in self.fields.mappings("artifacts", expected):
            fields = Fields(node, ("match", "require"), self.findings, "a rule for artefacts")
            globs = self._globs(fields)
            require = fields.node_of("require")
            if require is None:
                self.findings.refuse(node, "a rule for artefacts has no require", expected)
            else:
                yield ForArtifacts(globs, rules.rule(require))

    def _globs(self, fields: Fields) -> tuple[str, ...]:
        node = fields.node_of("match")
        items = node.items if isinstance(node, Sequence) else (node,)
        globs = tuple(item.value for item in items if isinstance(item, Text) and item.value)
        if not globs or len(globs) != len(items):
            self.findings.refuse(
                node or fields.node, "match is no glob", "such as *.exe, or a list"
            )
        return globs

    def _weak(self) -> Iterator[str]:
        for item in self.fields.texts("weak_signatures", expected=_WEAKNESS_EXPECTED):
            if _WEAKNESS.fullmatch(item.value):
                yield item.value
            else:
                reason = f"not a weakness: {names.shown(item.value)}"
                self.findings.refuse(item, reason, _WEAKNESS_EXPECTED)

    def _age(self, key: str) -> int | None:
        node = self.fields.text(key, expected=_AGE_EXPECTED)
        if node is None:
            return None
        match = _AGE.fullmatch(node.value.strip())
        if match is None:
            hint = nearest(node.value.split()[-1] if node.value.split() else "", _UNITS)
            self.findings.refuse(node, f"{key} is no length of time{hint}", _AGE_EXPECTED)
            return None
        return int(match[1]) * _UNITS[match[2]]
