"""The rules of a policy file: names, ``any``, ``all``, ``at_least`` ... ``of``, ``weights``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from gbuild.formats.fields import Fields, Findings
from gbuild.formats.located_yaml import Mapping, Node, Text
from gbuild.formats.problems import nearest
from gbuild.model import names
from gbuild.model.names import shown
from gbuild.model.policy import Anyone, Group, Member, Rule

ANYONE, NOBODY = "anyone", "nobody"

_KEYS = ("any", "all", "at_least", "of", "weights")
_SHAPES = (
    "a person, a group, anyone, nobody, or one of: any: [...], all: [...], "
    "at_least: N with of: [...] or of: anyone, at_least: N with weights: {name: N}"
)
_LARGEST = 1_000_000
_DEEPEST = 16
_MOST = 10_000
"""Members of a rule when every group in it is written out."""


@dataclass(slots=True)
class Rules:
    """Reads rules that name persons and groups; every problem goes to ``findings``."""

    persons: set[str]
    findings: Findings
    _nodes: dict[str, Node] = field(default_factory=dict)
    _known: dict[str, Rule] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def groups(self, pairs: Iterable[tuple[Text, Node]]) -> None:
        """Read the named groups; one may stand in another, but not in itself."""
        for key, node in pairs:
            if self._may_be_called(key):
                self._nodes[key.value] = node
        for name, node in self._nodes.items():
            self._group(name, node)

    def _may_be_called(self, key: Text) -> bool:
        reason = names.SIGNER.refusal(key.value)
        if key.value in {ANYONE, NOBODY}:
            reason = f"{key.value} has a meaning of its own"
        elif key.value in self.persons:
            reason = f"{key.value} is a person already"
        if reason:
            self.findings.refuse(key, f"a group's name: {reason}", names.SIGNER.expected)
        return not reason

    def rule(self, node: Node) -> Rule:
        """Read one rule; a usable value even after a problem."""
        if isinstance(node, Text):
            return self._one(node)
        if isinstance(node, Mapping):
            return self._mapping(node)
        self.findings.refuse(node, "a rule is not a list", _SHAPES)
        return Anyone()

    def _one(self, node: Text) -> Rule:
        """Turn a rule that is a single name into a rule."""
        who = self._who(node)
        return Group((Member(who),), 1) if isinstance(who, str) else who

    def _who(self, node: Text) -> str | Rule:
        if node.value in {ANYONE, NOBODY}:
            return Anyone(1 if node.value == ANYONE else 0)
        if node.value in self.persons:
            return node.value
        if node.value in self._nodes:
            return self._group(node.value, node)
        known = [*sorted(self.persons), *self._nodes, ANYONE, NOBODY]
        reason = f"{shown(node.value)} is no person and no group{nearest(node.value, known)}"
        self.findings.refuse(node, reason, "a name under persons or groups")
        return Anyone()

    def _group(self, name: str, place: Node) -> Rule:
        if name in self._known:
            return self._known[name]
        if name in self._open or len(self._open) == _DEEPEST:
            inside = " in ".join([name, *reversed(self._open)])
            self.findings.refuse(place, f"groups without an end: {inside}", "groups of persons")
            return Anyone()
        self._open.append(name)
        rule = self.rule(self._nodes[name])
        self._open.pop()
        self._sizes[name] = self._size(rule)
        if self._sizes[name] > _MOST:
            self.findings.refuse(place, f"group {name} has more than {_MOST} members", "fewer")
            rule = Anyone()
        self._known[name] = replace(rule, name=name) if isinstance(rule, Group) else rule
        return self._known[name]

    def _size(self, who: str | Rule) -> int:
        if not isinstance(who, Group):
            return 1
        if who.name in self._sizes:
            return self._sizes[who.name]
        return sum(self._size(member.who) for member in who.members)

    def _mapping(self, node: Mapping) -> Rule:
        fields = Fields(node, _KEYS, self.findings, "a rule")
        shapes = [key for key in ("any", "all", "of", "weights") if fields.node_of(key)]
        if len(shapes) != 1:
            self.findings.refuse(node, "a rule says one thing", _SHAPES)
            return Anyone()
        (shape,) = shapes
        if shape in {"any", "all"}:
            if extra := fields.node_of("at_least"):
                self.findings.refuse(
                    extra, f"at_least has no meaning beside {shape}", "at_least, of"
                )
            members = self._members(fields, shape)
            return self._group_of(node, members, 1 if shape == "any" else len(members))
        minimum = self._number(fields.required("at_least", expected="a number"), "at_least")
        of = fields.node_of("of")
        if isinstance(of, Text) and of.value == ANYONE:
            return Anyone(minimum)
        members = self._weighted(fields) if shape == "weights" else self._members(fields, "of")
        group = self._group_of(node, members, minimum)
        if members and (twice := _counted_twice(group)):
            reason = f"{', '.join(twice)} would count more than once towards {minimum}"
            self.findings.refuse(node, reason, "every person in one member of a sum")
        return group

    def _members(self, fields: Fields, key: str) -> tuple[Member, ...]:
        items = fields.items(key, expected="a list of persons, groups and rules")
        return tuple(Member(self._member(item)) for item in items)

    def _member(self, node: Node) -> str | Rule:
        return self._who(node) if isinstance(node, Text) else self.rule(node)

    def _weighted(self, fields: Fields) -> tuple[Member, ...]:
        node = fields.node_of("weights")
        if not isinstance(node, Mapping):
            self.findings.refuse(node or fields.node, "weights is not a mapping", "name: number")
            return ()
        return tuple(
            Member(self._who(key), self._number(value, f"the weight of {key.value}"))
            for key, value in node.pairs
        )

    def _number(self, node: Node | None, what: str) -> int:
        if node is None:
            return 1
        text = node.value if isinstance(node, Text) else ""
        if text.isascii() and text.isdecimal() and len(text) < 8 and 0 < int(text) <= _LARGEST:
            return int(text)
        self.findings.refuse(node, f"{what} is no number", f"a whole number from 1 to {_LARGEST}")
        return 1

    def _group_of(self, node: Mapping, members: tuple[Member, ...], minimum: int) -> Group:
        group = Group(members, max(minimum, 1))
        if not members:
            self.findings.refuse(node, "a rule without members", _SHAPES)
        elif minimum > group.total:
            reason = f"at_least is {minimum}, but all together are {group.total}"
            self.findings.refuse(node, reason, "a sum that can be reached")
        return group


def _counted_twice(group: Group) -> list[str]:
    """Return who could speak for several members of a sum.

    In *any* and *all* nothing is summed up, so who stands in both of *all* is meant to.
    """
    if group.minimum <= min(member.weight for member in group.members):
        return []
    seen: set[str] = set()
    twice: set[str] = set()
    for member in group.members:
        inside = set(_persons(member.who))
        twice |= inside & seen or (inside | seen if ANYONE in inside | seen and seen else set())
        seen |= inside
    return sorted(twice)


def _persons(who: str | Rule) -> Iterator[str]:
    if isinstance(who, str):
        yield who
    elif isinstance(who, Anyone):
        yield ANYONE
    else:
        for member in who.members:
            yield from _persons(member.who)
