"""Problems in a text file, shown with their place: ``file:line:column`` and a caret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gbuild.errors import DescriptorInvalid

MOST_SHOWN = 50
"""So many problems are shown in full; of the rest only the number."""

BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line in YAML 1.1."""

_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what, where (from 1), and what was expected instead."""

    reason: str
    line: int
    column: int
    expected: str | None = None


class InvalidText(Exception):
    """A text that breaks its rules; callers turn it into the error of their format."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.reason for problem in problems))
        self.problems = problems


def refuse(
    path: str, data: bytes, problems: Iterable[Problem], *, warnings: Iterable[Problem] = ()
) -> DescriptorInvalid:
    """Make the error that shows every problem of the file, in the order of the lines.

    ``warnings`` are shown among them but not counted: what is odd often explains what is wrong.
    """
    found = _ordered(problems)
    odd = (replace(warning, reason=f"warning: {warning.reason}") for warning in warnings)
    listed = _ordered((*found, *odd))
    lines = BREAK.split(data.decode("utf-8", "replace").removeprefix("\ufeff"))
    details = [text for problem in listed[:MOST_SHOWN] for text in show(path, lines, problem)]
    if len(listed) > MOST_SHOWN:
        details.append(f"and {len(listed) - MOST_SHOWN} more")
    first = found[0]
    brief = f"{path}:{first.line}:{first.column}: {first.reason}"
    if len(listed) == 1:
        del details[0]  # the same words
    elif len(found) > 1:
        brief = f"{path}: {len(found)} problems, the first on line {first.line}: {first.reason}"
    return DescriptorInvalid(brief, details=tuple(details))


def _ordered(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def show(path: str, lines: list[str], problem: Problem) -> list[str]:
    """Show one problem: its place, the line with a caret, and what was expected."""
    shown = [f"{path}:{problem.line}:{problem.column}: {problem.reason}"]
    if problem.line <= len(lines):
        line, caret = _window(lines[problem.line - 1], problem.column)
        number = str(problem.line).rjust(5)
        shown += [f"{number} | {line}", f"      | {' ' * caret}^"]
    if problem.expected:
        shown.append(f"      = expected {problem.expected}")
    return shown


def _window(line: str, column: int) -> tuple[str, int]:
    """Cut a long line around the column; return it with the caret's offset."""
    line = line.replace("\t", " ")
    start = max(0, min(column - 1, len(line)) - _WIDTH // 2)
    return line[start : start + _WIDTH], min(column - 1, len(line)) - start


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean X?`` when a known word looks like ``word``, else nothing."""
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""
