"""JSON whose every value can say where it stands; places are computed only for errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gbuild.formats.located_yaml import decode
from gbuild.formats.problems import InvalidText, Problem
from gbuild.model.names import Grammar, shown

Step = str | int
_SPACE = re.compile(r"[ \t\n\r]*")
_ODD_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")


@dataclass(slots=True)
class Document:
    """A parsed text and the problems found in it so far."""

    text: str
    value: object
    problems: list[Problem] = field(default_factory=list)

    @property
    def root(self) -> Value:
        """The whole document as a value."""
        return Value(self, self.value, ())


def parse(data: bytes, *, limit: int) -> Document:
    """Parse UTF-8 JSON of at most ``limit`` bytes.

    Raises:
        InvalidText: it is not JSON, or an object names a key twice.
    """
    text = decode(data, limit=limit)
    if found := _ODD_BREAK.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise InvalidText((Problem("a line break that is not a newline", line, 1),))
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_no_float
        )
    except json.JSONDecodeError as error:
        problem = Problem(f"not JSON: {error.msg}", error.lineno, error.colno)
        raise InvalidText((problem,)) from error
    except RecursionError as error:
        raise InvalidText((Problem("too many levels of nesting", 1, 1),)) from error
    except (_Refused, ValueError) as error:
        raise InvalidText((Problem(str(error), 1, 1),)) from error
    return Document(text, value)


class _Refused(Exception):
    """A JSON text with something no document of ours holds."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"an object names the key {shown(key)} twice")
        found[key] = value
    return found


def _no_constant(text: str) -> object:
    raise _Refused(f"{text} is not a number here")


def _no_float(text: str) -> object:
    raise _Refused(f"{shown(text)} is not a whole number")


@dataclass(frozen=True, slots=True)
class Value:
    """A value and the way to it from the root.

    The readers below return a usable value of their type even after recording a problem.
    """

    document: Document
    value: object
    path: tuple[Step, ...]

    def refuse(self, reason: str, expected: str | None = None) -> None:
        """Record that this value is wrong."""
        where = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in self.path).lstrip(".")
        line, column = place(self.document.text, self.path)
        self.document.problems.append(
            Problem(f"{where}: {reason}" if where else reason, line, column, expected)
        )

    def object(self, *keys: str, optional: Iterable[str] = ()) -> dict[str, Value]:
        """Return the values under ``keys``; a key too many or too few is a problem.

        Raises:
            InvalidText: it is no object or lacks a key, so that reading on makes no sense.
        """
        if not isinstance(self.value, dict):
            self.refuse("not an object", f"an object of {', '.join(keys)}")
            raise InvalidText(tuple(self.document.problems))
        for key in keys:
            if key not in self.value:
                self.refuse(f"the key {key!r} is missing")
        if not self.value.keys() >= set(keys):
            raise InvalidText(tuple(self.document.problems))
        found = {key: self.under(key) for key in self.value if isinstance(key, str)}
        for key in found.keys() - {*keys, *optional}:
            found[key].refuse("unknown key", f"one of {', '.join((*keys, *optional))}")
        return found

    def required(self, key: str) -> Value:
        """Return the value under one key of an object that may have others.

        Raises:
            InvalidText: it is no object or lacks the key.
        """
        if not isinstance(self.value, dict) or key not in self.value:
            self.refuse(f"the key {key!r} is missing")
            raise InvalidText(tuple(self.document.problems))
        return self.under(key)

    def under(self, step: str) -> Value:
        """Return the member called ``step`` of an object that has it."""
        inner = self.value[step] if isinstance(self.value, dict) else None
        return Value(self.document, inner, (*self.path, step))

    def members(self) -> dict[str, Value]:
        """Return every member of an object; none when it is something else."""
        if isinstance(self.value, dict):
            return {key: self.under(key) for key in self.value}
        self.refuse("not an object")
        return {}

    def list(self) -> tuple[Value, ...]:
        """Return the items; none when it is no list."""
        if isinstance(self.value, list):
            return tuple(
                Value(self.document, item, (*self.path, index))
                for index, item in enumerate(self.value)
            )
        self.refuse("not a list")
        return ()

    def text(self, grammar: Grammar) -> str:
        """Return a text that follows the grammar."""
        if not isinstance(self.value, str):
            self.refuse("not text", grammar.expected)
            return ""
        if reason := grammar.refusal(self.value):
            self.refuse(reason, grammar.expected)
        return self.value

    def choice(self, *words: str) -> str:
        """Return one of a few words."""
        if self.value not in words or not isinstance(self.value, str):
            self.refuse(f"unknown value {shown(str(self.value))}", f"one of {', '.join(words)}")
            return words[0]
        return self.value

    def integer(self, *, most: int = 1 << 53) -> int:
        """Return a whole number from 0 to ``most``."""
        if type(self.value) is int and 0 <= self.value <= most:
            return self.value
        self.refuse("not a whole number", f"0 to {most}")
        return 0

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.refuse("neither true nor false")
        return self.value is True


def distinct(named: Iterable[tuple[str, Value]], what: str) -> None:
    """Record a problem for every name that stands there twice."""
    seen: set[str] = set()
    for name, value in named:
        if name in seen:
            value.refuse(f"the {what} {shown(name)} stands there twice")
        seen.add(name)


def place(text: str, path: tuple[Step, ...]) -> tuple[int, int]:
    """Return line and column (from 1) of the value at ``path`` of a valid JSON text."""
    position = _skip(text, 0)
    for step in path:
        position = next((p for key, p in _members(text, position) if key == step), position)
    line = text.count("\n", 0, position) + 1
    return line, position - text.rfind("\n", 0, position)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _members(text: str, position: int) -> Iterator[tuple[Step, int]]:
    """Yield key or index and position of every member of the object or list at ``position``."""
    decoder = json.JSONDecoder()
    is_object = text[position] == "{"
    position = _skip(text, position + 1)
    index = 0
    while text[position] not in "]}":
        key: Step = index
        if is_object:
            key, position = decoder.raw_decode(text, position)
            position = _skip(text, _skip(text, position) + 1)
        yield key, position
        _, position = decoder.raw_decode(text, position)
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
        index += 1
