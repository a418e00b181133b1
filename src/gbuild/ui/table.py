"""Tables of foreign text, for a terminal and for Markdown."""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING

from gbuild.ui import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NARROWEST = 7
"""Columns that a wrapped cell keeps at least."""


def plain(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    shrink: Sequence[int] = (),
) -> str:
    """Return aligned columns, two spaces apart, without a newline at the end.

    A cell with several lines makes its row that high. Cells are escaped here.

    Args:
        headers: the first row.
        rows: the others, as long as the first.
        width: columns of the terminal; None when there is no limit.
        shrink: the columns whose cells may be wrapped to fit, the first one first.
    """
    grid = [[_lines(cell) for cell in row] for row in (headers, *rows)]
    widths = _widths(grid)
    if width is not None:
        _shrink(widths, width, shrink)
        grid = [
            [_folded(cell, room) for cell, room in zip(row, widths, strict=True)] for row in grid
        ]
        widths = _widths(grid)
    return "\n".join(text for row in grid for text in _row(row, widths))


def wrapped(text: str, width: int | None, *, margin: str = "") -> list[str]:
    """Return one escaped line as lines that fit the terminal, each after the margin."""
    if width is None:
        return [margin + text]
    room = max(width - len(margin), _NARROWEST)
    return [margin + line for line in _folded([text], room)]


def markdown(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table without a newline at the end. Cells are escaped here."""
    lines = [list(map(escape.markdown, row)) for row in (headers, *rows)]
    lines.insert(1, ["---"] * len(headers))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _lines(cell: str) -> list[str]:
    return escape.terminal(cell).replace("\t", " ").split("\n")


def _widths(grid: list[list[list[str]]]) -> list[int]:
    return [
        max(_width(text) for cell in column for text in cell) for column in zip(*grid, strict=True)
    ]


def _shrink(widths: list[int], width: int, shrink: Sequence[int]) -> None:
    """Take from the columns that may be wrapped what the table is too wide."""
    for column in shrink:
        over = sum(widths) + 2 * (len(widths) - 1) - width
        if over > 0:
            widths[column] = min(widths[column], max(widths[column] - over, _NARROWEST))


def _folded(lines: list[str], room: int) -> list[str]:
    return [piece for line in lines for piece in _pieces(line, room)]


def _pieces(line: str, room: int) -> Iterator[str]:
    """Break a line at its spaces where that helps, else anywhere."""
    while _width(line) > room:
        fits = next(n for n in range(len(line), 0, -1) if _width(line[:n]) <= max(room, 2))
        space = line.rfind(" ", 0, fits + 1)
        cut = space if space > fits // 2 else fits
        yield line[:cut].rstrip(" ")
        line = line[cut:].lstrip(" ")
    yield line


def _row(cells: list[list[str]], widths: list[int]) -> list[str]:
    return [
        "  ".join(_padded(text, width) for text, width in zip(texts, widths, strict=True)).rstrip()
        for texts in zip_longest(*cells, fillvalue="")
    ]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Return the columns of the terminal that ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
