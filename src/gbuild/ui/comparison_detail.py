"""What diffoscope said of an artefact, as parts that every medium renders: nothing escaped yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gbuild.model.comparison import Detail, Looked

_STEPS = 8
"""Containers in containers that are named, the outermost and the innermost ones."""
_WIDEST = 400
"""Characters of one line that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One place that differs: where (outermost first), remarks, and the lines of a unified diff."""

    where: tuple[str, ...]
    comments: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The parts that fit a number of lines, and how many lines did not."""

    parts: tuple[Part, ...]
    left_out: int = 0


def shown(looked: Looked, limit: int) -> Shown:
    """Return the first ``limit`` lines of a report."""
    parts = []
    left_out = 0
    for part in _parts(looked.detail, ()) if looked.detail else ():
        fitting = part.lines[:limit]
        limit -= len(fitting)
        left_out += len(part.lines) - len(fitting)
        if fitting or not part.lines:
            parts.append(Part(where=part.where, comments=part.comments, lines=fitting))
    return Shown(parts=tuple(parts), left_out=left_out)


def _parts(detail: Detail, above: tuple[str, ...]) -> Iterator[Part]:
    where = (*above, _title(detail.a, detail.b, outermost=not above))
    if detail.diff or detail.comments:
        lines = tuple(_cut(line) for line in detail.diff.split("\n")[: -1 or None])
        yield Part(where=_shortened(where), comments=tuple(map(_cut, detail.comments)), lines=lines)
    for each in detail.inside:
        yield from _parts(each, where)


def _shortened(where: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the middle of a long way: containers in containers."""
    if len(where) <= _STEPS:
        return where
    half = _STEPS // 2
    return (*where[:half], f"({len(where) - 2 * half} more)", *where[-half:])


def _title(a: str, b: str, *, outermost: bool) -> str:
    """Name a place once if both sides call it the same; the outermost are ``a/NAME`` and ``b/``."""
    if outermost:
        a, b = a.removeprefix("a/"), b.removeprefix("b/")
    return _cut(a if a == b or not b else f"{a} / {b}")


def _cut(line: str) -> str:
    return line if len(line) <= _WIDEST else f"{line[:_WIDEST]}... ({len(line)} characters)"
