"""Moments as persons type them: a date, a time with its zone, or seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = re.compile(r"@[0-9]{1,11}")
_EXPECTED = "2026-11-20, 2026-11-20T12:00:00Z or @1795176000"
_LAST = 4_102_444_800
"""Seconds of the year 2100: later moments are typing errors."""


def moment(text: str) -> int:
    """Return seconds since the epoch; without a zone the text is UTC.

    Raises:
        ValueError: it is no moment between 1970 and 2100.
    """
    if _SECONDS.fullmatch(text):
        seconds = int(text[1:])
    else:
        parsed = datetime.fromisoformat(text)
        seconds = int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    if not 0 <= seconds <= _LAST:
        raise ValueError(text)
    return seconds


def moment_option(*names: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002 # click's word
    """Return an option whose value is a moment."""

    def convert(_: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        try:
            return moment(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is no moment such as {_EXPECTED}") from error

    return click.option(*names, metavar="TIME", callback=convert, help=help)
