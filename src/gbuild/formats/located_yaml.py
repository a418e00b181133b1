"""A strict subset of YAML in which every scalar is text and every node knows its place.

Refused, with the place: tags (unless the caller names them), anchors and aliases (so no
document can grow when it is read), several documents, duplicate keys, keys that are not text,
other encodings than UTF-8, control characters, and anything above the :class:`Bounds`. No
object is ever constructed: PyYAML only turns characters into events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gbuild.formats.problems import BREAK, MOST_SHOWN, InvalidText, Problem
from gbuild.model.names import shown

_FORBIDDEN = re.compile(  # listed, because a negated set of this size takes 15 ms to compile
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)
_ORDINARY = bytes((9, 10, 13, *range(0x20, 0x7F)))
"""Bytes of text in which nothing forbidden can be: they are left out a hundred times faster."""
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a document may hold: bytes, nodes, and levels of nesting."""

    size: int = 1 << 20
    nodes: int = 20_000
    depth: int = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar; ``plain`` when it was written without quotes."""

    value: str
    place: Place
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """Say whether YAML reads it as null: unquoted and empty, ``~`` or ``null``."""
        return self.plain and self.value in _NULLS


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Pairs in the order they were written; the keys differ."""

    pairs: tuple[tuple[Text, Node], ...]
    place: Place

    def get(self, key: str) -> Node | None:
        """Return the node under ``key``, if it is there."""
        return next((node for name, node in self.pairs if name.value == key), None)


Node = Text | Sequence | Mapping


def parse(
    data: bytes,
    *,
    bounds: Bounds = Bounds(),
    tags: frozenset[str] = frozenset(),
    fast: bool = False,
) -> Node | None:
    """Read one document; None when it is empty.

    Args:
        data: the bytes of the document, UTF-8 (a byte order mark is allowed).
        bounds: more than this is refused.
        tags: the tags that may stand on a node; they are then ignored.
        fast: use libyaml when PyYAML has it (70 times faster; the same grammar).

    Raises:
        InvalidText: with every problem found.
    """
    text = decode(data, limit=bounds.size)
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader) if fast else yaml.BaseLoader
    composer = _Composer(bounds, tags)
    try:
        node = composer.document(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        raise InvalidText((*composer.problems, _syntax(error, text))) from error
    except yaml.YAMLError as error:
        raise InvalidText((*composer.problems, Problem(str(error), 1, 1))) from error
    if composer.problems:
        raise InvalidText(tuple(composer.problems))
    return node


def decode(data: bytes, *, limit: int) -> str:
    """Decode UTF-8 text and refuse what no text file of ours holds.

    Raises:
        InvalidText: too many bytes, another encoding, or a control character, with the place.
    """
    if len(data) > limit:
        raise InvalidText((Problem(f"{len(data)} bytes, more than the {limit} allowed", 1, 1),))
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        raise InvalidText((Problem("the text is UTF-16 or UTF-32", 1, 1, "UTF-8"),))
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        byte = data[error.start]
        raise InvalidText((_at_end(before, f"byte 0x{byte:02x} is not UTF-8", "UTF-8"),)) from error
    if data.translate(None, _ORDINARY) and (found := _FORBIDDEN.search(text)):
        reason = f"control character U+{ord(found[0]):04X}"
        raise InvalidText((_at_end(text[: found.start()], reason, "printable text"),))
    return text


def _at_end(before: str, reason: str, expected: str) -> Problem:
    lines = BREAK.split(before)
    return Problem(reason, len(lines), len(lines[-1]) + 1, expected)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    reason = error.problem or error.context or "it does not follow the grammar"
    if mark is None:
        return Problem(f"not YAML: {reason}", 1, 1)
    line, column = mark.line, mark.column
    lines = BREAK.split(text)
    if line < len(lines) and lines[line][column : column + 1] == "\t":
        return Problem("not YAML: a tab where YAML wants spaces", line + 1, column + 1, "spaces")
    if error.context and error.context != reason:
        reason = f"{reason} ({error.context})"
    return Problem(f"not YAML: {reason}", line + 1, column + 1)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    if mark is None:
        return Place(1, 1)
    return Place(mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Composer:
    """Builds nodes from events without recursion deeper than ``bounds.depth``."""

    bounds: Bounds
    tags: frozenset[str]
    problems: list[Problem] = field(default_factory=list)
    _nodes: int = 0

    def document(self, events: Iterator[yaml.Event]) -> Node | None:
        found: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse("a second document", event, "one document in a file")
                    break
                found = self._node(next(events), events, 1)
        return found

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        self._count(event, depth)
        place = _place(event)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(f"alias *{event.anchor}", event, "the value written out: no aliases")
            return Text("", place)
        self._check(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self._items(events, depth)), place)
        if isinstance(event, yaml.MappingStartEvent):
            return Mapping(tuple(self._pairs(events, depth)), place)
        if isinstance(event, yaml.ScalarEvent):
            return Text(event.value, place, event.style in (None, ""))
        raise InvalidText((Problem(f"not a value: {event}", place.line, place.column),))

    def _items(self, events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self._node(event, events, depth + 1)

    def _pairs(self, events: Iterator[yaml.Event], depth: int) -> Iterator[tuple[Text, Node]]:
        seen: dict[str, Place] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Text):
                self._refuse("a key that is a list or a mapping", event, "a word as key")
            elif key.value == "<<" and key.plain:
                self._refuse("a merge key", event, "the keys written out")
            elif key.value in seen:
                first = seen[key.value].line
                reason = f"duplicate key {key.value!r}, first given on line {first}"
                self._refuse(reason, event, "every key once")
            else:
                seen[key.value] = key.place
                yield key, value

    def _count(self, event: yaml.Event, depth: int) -> None:
        self._nodes += 1
        place = _place(event)
        if depth > self.bounds.depth:
            reason = f"more than {self.bounds.depth} levels of nesting"
        elif self._nodes > self.bounds.nodes:
            reason = f"more than {self.bounds.nodes} values"
        else:
            return
        raise InvalidText((*self.problems, Problem(reason, place.line, place.column)))

    def _check(self, event: yaml.Event) -> None:
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._refuse(f"anchor &{anchor}", event, "no anchors")
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in self.tags:
            self._refuse(
                f"tag {shown(tag)}", event, "no tags: every value is text, a list or a mapping"
            )

    def _refuse(self, reason: str, event: yaml.Event, expected: str) -> None:
        place = _place(event)
        self.problems.append(Problem(reason, place.line, place.column, expected))
        if len(self.problems) >= MOST_SHOWN:
            raise InvalidText(tuple(self.problems))
