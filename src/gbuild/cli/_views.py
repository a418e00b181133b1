"""How gverify shows verdicts: text, sentences, Markdown or a page, on the screen or in a file."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gbuild.cli._judging import Question
    from gbuild.cli._session import Session
    from gbuild.model.verdict import ReleaseVerdict

View = Literal["text", "explain", "markdown", "html"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the answer should look. ``markup`` is None when the terminal decides, ``width`` too."""

    view: View
    output: Path | None
    verbose: bool
    markup: bool | None
    width: int | None = None


def show(
    session: Session, verdicts: Sequence[ReleaseVerdict], question: Question, shape: Shape
) -> None:
    """Write the verdicts in the shape that was asked for, and as JSON when that was asked for.

    Raises:
        UsageFailure: the file cannot be written.
    """
    from gbuild.verify.document import document
    from gbuild.verify.policy import describe

    session.answer(document(verdicts, required=describe(question.policy)))
    if session.json and shape.output is None:
        return
    text = _VIEWS[shape.view](verdicts, question, _for_screen(session, shape))
    if shape.output is None:
        session.say(text)
        return
    _write(shape.output, f"{text}\n")
    session.say(f"wrote {shape.output}")


def _for_screen(session: Session, shape: Shape) -> Shape:
    """Fill in what the terminal decides: colour only on one, lines cut only for one."""
    environment = session.environment
    screen = shape.output is None and sys.stdout.isatty()
    colour = screen and "NO_COLOR" not in environment and environment.get("TERM") != "dumb"
    known = shape.output is None and (screen or environment.get("COLUMNS", "").isdecimal())
    return replace(
        shape,
        markup=colour if shape.markup is None else shape.markup,
        width=shutil.get_terminal_size().columns if known else None,
    )


def _write(path: Path, text: str) -> None:
    from gbuild.host.files import write_atomically

    write_atomically(path.absolute(), text.encode("utf-8", "backslashreplace"))


def _text(verdicts: Sequence[ReleaseVerdict], question: Question, shape: Shape) -> str:
    from gbuild.ui import matrix
    from gbuild.verify.policy import describe

    marked, width = bool(shape.markup), shape.width
    required = matrix.required(describe(question.policy), width)
    if question.whole and not shape.verbose:
        overview = matrix.overview(verdicts, markup=marked, width=width)
        return f"{overview}\n\n{matrix.totals(verdicts)}\n{required}"
    parts = [
        matrix.text(each, verbose=shape.verbose, markup=marked, width=width) for each in verdicts
    ]
    if question.whole:
        parts.append(matrix.totals(verdicts))
    return "\n\n".join([*parts, required])


def _explained(verdicts: Sequence[ReleaseVerdict], question: Question, _shape: Shape) -> str:
    from gbuild.ui import escape
    from gbuild.verify.explain import explain

    return "\n\n".join(
        "\n".join(map(escape.line, explain(each, question.policy))) for each in verdicts
    )


def _markdown(verdicts: Sequence[ReleaseVerdict], question: Question, _shape: Shape) -> str:
    from gbuild.ui import markdown
    from gbuild.verify.policy import describe

    return markdown.page(verdicts, required=describe(question.policy)).removesuffix("\n")


def _html(verdicts: Sequence[ReleaseVerdict], question: Question, _shape: Shape) -> str:
    from gbuild.ui import page
    from gbuild.verify.policy import describe

    return page.page(
        verdicts,
        title=question.title,
        required=describe(question.policy),
        at=int(time.time()) if question.at is None else question.at,
    ).removesuffix("\n")


_VIEWS: dict[View, Callable[[Sequence[ReleaseVerdict], Question, Shape], str]] = {
    "text": _text,
    "explain": _explained,
    "markdown": _markdown,
    "html": _html,
}
