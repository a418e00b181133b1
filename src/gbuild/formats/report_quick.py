"""A small strict reader for the way reports are nearly always written.

It reads ``--- !!omap`` (``!omap``), entries ``- key: value`` in plain words, single quotes, literal
blocks (``|``, ``|-``) and ordered maps of literal blocks, all in printable ASCII with the
indentation that Psych and we write. Whatever it is not sure of it gives back unread, and the whole
YAML reader looks at it; where it answers, the answers are the same (property and corpus tests).
It needs a third of libyaml's time, and a fortieth of pure Python's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Value = str | tuple[tuple[str, str], ...] | None
"""Text, an ordered map of texts, or null."""

_HEAD = re.compile(r"--- !!?omap *\n")
_ENTRY = re.compile(r"- ([a-z][a-z_]{0,40}):(?: ([^\n]*))?\n")
_INNER = re.compile(r"  - ([a-z][a-z0-9.]*-[a-z0-9]+): (\|-?)\n")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~@/-]*")
_NULL = frozenset({"null", "Null", "NULL"})
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n"


def read(data: bytes) -> dict[str, Value] | None:
    """Return the values by key in the order of the document; None when it is not sure."""
    if data.translate(None, _PRINTABLE) or not data.endswith(b"\n"):
        return None
    text = data.decode("ascii")
    head = _HEAD.match(text)
    if head is None:
        return None
    found: dict[str, Value] = {}
    try:
        for key, value in _entries(text, head.end()):
            if key in found:
                return None
            found[key] = value
    except _Unsure:
        return None
    return found


class _Unsure(Exception):
    """Something that the whole reader must look at."""


def _entries(text: str, position: int) -> Iterator[tuple[str, Value]]:
    while position < len(text):
        entry = _ENTRY.match(text, position)
        if entry is None:
            raise _Unsure
        position = entry.end()
        rest = (entry[2] or "").rstrip(" ")
        if rest in {"|", "|-"}:
            end = _end(text, position, "\n- ")
            yield entry[1], _literal(text[position:end], 4, keep=rest == "|")
            position = end
        elif rest in {"!omap", "!!omap"}:
            end = _end(text, position, "\n- ")
            yield entry[1], tuple(_inner(text[position:end]))
            position = end
        elif rest.startswith(("'", "! '")):
            start = text.index("'", entry.start(2)) + 1
            end = text.find("'", start)
            if text[end : end + 2] != "'\n":  # a quote in the text, or no end
                raise _Unsure
            yield entry[1], _folded(text[start:end])
            position = end + 2
        else:
            yield entry[1], _word(rest)


def _end(text: str, position: int, mark: str) -> int:
    """Return where the lines end that stand deeper than the mark."""
    end = text.find(mark, position - 1)
    return len(text) if end < 0 else end + 1


def _word(text: str) -> str | None:
    if not text:
        return None
    if text == '""':
        return ""
    if text in _NULL or not _PLAIN.fullmatch(text):
        raise _Unsure
    return text


def _folded(text: str) -> str:
    """Join the lines of a text in single quotes: one break is a space, every further one a break.

    Lines between the first and the last have at least one space in front, which does not count.
    """
    first, *lines = text.split("\n")
    if not lines:
        return first
    joined = [first]
    empty = 0
    for number, line in enumerate(lines, 1):
        content = line.lstrip(" ")
        last = number == len(lines)
        if content.endswith(" ") or (content and content == line) or (last and not empty):
            raise _Unsure
        if content or last:
            joined += ["\n" * empty or " ", content]
            empty = 0
        else:
            empty += 1
    if first.endswith(" ") or not first:
        raise _Unsure
    return "".join(joined)


def _inner(block: str) -> Iterator[tuple[str, str]]:
    position = 0
    seen: set[str] = set()
    while position < len(block):
        entry = _INNER.match(block, position)
        if entry is None or entry[1] in seen:
            raise _Unsure
        seen.add(entry[1])
        end = _end(block, entry.end(), "\n  - ")
        yield entry[1], _literal(block[entry.end() : end], 6, keep=entry[2] == "|")
        position = end
    if not seen:
        raise _Unsure


def _literal(block: str, indent: int, *, keep: bool) -> str:
    """Take the indentation off a literal block in which every line has exactly that much."""
    margin = "\n" + " " * indent
    text = block[indent:].replace(margin, "\n")
    every = len(block) - len(text) == indent * block.count("\n")
    if not every or not block.startswith(margin[1:]) or text[-2:-1] == "\n":
        raise _Unsure
    if text.startswith(" ") or "\n " in text:
        raise _Unsure
    return text if keep else text[:-1]
