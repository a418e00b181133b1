"""Tables of foreign text, for a terminal and for Markdown."""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING

from gbuild.ui import escape

if TYPE_CHECKING:
    from collections.abc import Sequence


def plain(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, two spaces apart, without a newline at the end.

    A cell with several lines makes its row that high. Cells are escaped here.
    """
    grid = [[_lines(cell) for cell in row] for row in (headers, *rows)]
    widths = [
        max(_width(text) for cell in column for text in cell) for column in zip(*grid, strict=True)
    ]
    return "\n".join(text for row in grid for text in _row(row, widths))


def markdown(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table without a newline at the end. Cells are escaped here."""
    lines = [list(map(escape.markdown, row)) for row in (headers, *rows)]
    lines.insert(1, ["---"] * len(headers))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _lines(cell: str) -> list[str]:
    return escape.terminal(cell).replace("\t", " ").split("\n")


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
