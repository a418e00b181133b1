"""Reading a located mapping field by field, collecting every problem instead of stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from gbuild.errors import UsageFailure
from gbuild.formats.located_yaml import Bounds, Mapping, Node, Place, Sequence, Text, parse
from gbuild.formats.problems import InvalidText, Problem, nearest, refuse
from gbuild.model.names import Grammar, shown

Found = TypeVar("Found")

_TRUE = frozenset({"true", "yes", "on", "y"})
_FALSE = frozenset({"false", "no", "off", "n"})


@dataclass(slots=True)
class Findings:
    """What was found wrong (problems) or odd (warnings) so far."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def refuse(self, node: Node, reason: str, expected: str | None = None) -> None:
        """Record that ``node`` is wrong."""
        self.problems.append(Problem(reason, node.place.line, node.place.column, expected))

    def warn(self, node: Node, reason: str, expected: str | None = None) -> None:
        """Record that ``node`` is odd but can be lived with."""
        self.warnings.append(Problem(reason, node.place.line, node.place.column, expected))


class Fields:
    """One mapping of a document, read key by key.

    Every getter returns a usable value even when it recorded a problem: the caller asks
    ``findings.problems`` once, at the end.
    """

    def __init__(self, node: Mapping, known: Iterable[str], findings: Findings, what: str) -> None:
        self.node = node
        self.findings = findings
        self.what = what
        names = tuple(known)
        for key, _ in node.pairs:
            if key.value not in names:
                reason = f"unknown key {shown(key.value)} in {what}{nearest(key.value, names)}"
                findings.warn(key, reason, f"one of {', '.join(names)}")

    def node_of(self, key: str) -> Node | None:
        """Return the node under ``key``; None when it is absent or null."""
        node = self.node.get(key)
        return None if isinstance(node, Text) and node.is_null else node

    def text(self, key: str, *, expected: str = "text") -> Text | None:
        """Return the scalar under ``key``, if it has one."""
        node = self.node_of(key)
        if node is None or isinstance(node, Text):
            return node
        self.findings.refuse(node, f"{key} is a list or a mapping", expected)
        return None

    def required(self, key: str, *, expected: str) -> Text | None:
        """Return the scalar under ``key``; its absence is a problem."""
        if self.node_of(key) is None:
            place = self.node.get(key) or self.node
            self.findings.refuse(place, f"{self.what} has no {key}", f"{key}: {expected}")
            return None
        return self.text(key, expected=expected)

    def name(self, key: str, grammar: Grammar) -> str | None:
        """Return a name that follows its grammar."""
        return checked(self.text(key, expected=grammar.expected), grammar, self.findings)

    def required_name(self, key: str, grammar: Grammar) -> str:
        """Return a name that must be there; the empty text after a problem."""
        node = self.required(key, expected=grammar.expected)
        return checked(node, grammar, self.findings) or ""

    def flag(self, key: str) -> bool | None:
        """Return a truth value, None when the key is absent."""
        node = self.text(key, expected="true or false")
        if node is None:
            return None
        if node.value.lower() not in _TRUE | _FALSE:
            reason = f"{key} is neither true nor false: {shown(node.value)}"
            self.findings.refuse(node, reason, "true or false")
        return node.value.lower() in _TRUE

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """Return one of a few words, None when the key is absent or wrong."""
        node = self.text(key, expected=" or ".join(choices))
        if node is None or node.value in choices:
            return node.value if node else None
        reason = f"unknown {key} {shown(node.value)}{nearest(node.value, choices)}"
        self.findings.refuse(node, reason, f"one of {', '.join(choices)}")
        return None

    def items(self, key: str, *, expected: str = "a list") -> tuple[Node, ...]:
        """Return the items of a list; none when it is absent, empty or null."""
        node = self.node_of(key)
        if node is None:
            return ()
        if isinstance(node, Sequence):
            return node.items
        self.findings.refuse(node, f"{key} is not a list", expected)
        return ()

    def texts(self, key: str, *, expected: str) -> tuple[Text, ...]:
        """Return the scalars of a list; another kind of item is a problem."""
        return tuple(self._texts(key, expected))

    def _texts(self, key: str, expected: str) -> Iterator[Text]:
        for item in self.items(key, expected=f"a list, each item {expected}"):
            if isinstance(item, Text) and not item.is_null:
                yield item
            else:
                self.findings.refuse(item, f"an item of {key} is not text", expected)

    def names(self, key: str, grammar: Grammar) -> tuple[Text, ...]:
        """Return the items of a list of names that follow their grammar."""
        items = self.texts(key, expected=grammar.expected)
        return tuple(item for item in items if checked(item, grammar, self.findings) is not None)

    def mappings(self, key: str, expected: str) -> tuple[Mapping, ...]:
        """Return the items of a list of mappings; another kind of item is a problem."""
        return tuple(self._mappings(key, expected))

    def _mappings(self, key: str, expected: str) -> Iterator[Mapping]:
        for item in self.items(key, expected=f"a list of {expected}"):
            if isinstance(item, Mapping):
                yield item
            else:
                self.findings.refuse(item, f"an item of {key} is not a mapping", expected)


def checked(node: Text | None, grammar: Grammar, findings: Findings) -> str | None:
    """Return the node's text when it follows the grammar, else record a problem."""
    if node is None:
        return None
    if reason := grammar.refusal(node.value):
        findings.refuse(node, reason, grammar.expected)
        return None
    return node.value


def distinct(
    nodes: Iterable[tuple[str, Node]],
    what: str,
    findings: Findings,
    *,
    same: Callable[[str], str] = str.casefold,
) -> None:
    """Record a problem for every name that stands there twice (``same`` decides)."""
    seen: dict[str, tuple[str, Node]] = {}
    for name, node in nodes:
        first = seen.setdefault(same(name), (name, node))
        if first[1] is node:
            continue
        line = first[1].place.line
        differs = "" if first[0] == name else f" (there {shown(first[0])})"
        findings.refuse(
            node, f"{what} {shown(name)} stands on line {line} already{differs}", "each name once"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A kind of document: a mapping with the key ``format`` whose value is ``form``.

    Attributes:
        what: how a problem calls it: "a policy".
        form: the format's name and version.
        keys: all that it may have.
        bounds: how much it may hold.
        kind: the error of one that is wrong, and that error's hint.
    """

    what: str
    form: str
    keys: Iterable[str]
    bounds: Bounds
    kind: type[UsageFailure]
    hint: str

    def read(self, data: bytes, rest: Callable[[Fields], Found], *, path: str) -> Found:
        """Return what ``rest`` makes of the fields; ``path`` is the document's in errors.

        An unknown key is a problem, too: it may be the rule that somebody relies on.

        Raises:
            UsageFailure: one of ``kind``, with every problem found and its place.
        """
        findings = Findings()
        try:
            root = parse(data, bounds=self.bounds)
        except InvalidText as error:
            findings.problems += error.problems
        else:
            if isinstance(root, Mapping):
                found = rest(self._fields(root, findings))
                findings.problems += findings.warnings
                if not findings.problems:
                    return found
            else:
                place = root or Text("", Place(1, 1))
                findings.refuse(place, f"{self.what} is a mapping", f"format: {self.form}")
        told = refuse(path, data, findings.problems)
        raise self.kind(told.brief, details=told.details, hint=self.hint)

    def _fields(self, root: Mapping, findings: Findings) -> Fields:
        fields = Fields(root, self.keys, findings, self.what)
        form = fields.required("format", expected=self.form)
        if form is not None and form.value != self.form:
            findings.refuse(form, f"unknown format {shown(form.value)}", self.form)
        return fields
