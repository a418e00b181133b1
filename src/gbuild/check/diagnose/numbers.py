"""Whole numbers that changed, and the words beside them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from gbuild.check.diagnose.cause import versus
from gbuild.check.diagnose.differences import Change, Difference

_DIGITS = b"0123456789"
_NUMBER = re.compile(r"([A-Za-z]*)(\d+)\Z")
"""A number, and letters that stand right before it: -j4."""


def beside(names: str) -> Callable[[Difference], str | None]:
    """Return what explains a number that changed beside one of ``names``."""

    def explains(difference: Difference) -> str | None:
        found = number_named(difference, names) if isinstance(difference, Change) else None
        return versus(*found) if found else None

    return explains


def number_named(change: Change, names: str) -> tuple[str, str] | None:
    """Return both numbers when one of ``names`` (a regular expression) stands beside them."""
    if not change.text:
        return None
    one, two = (_NUMBER.match(word.strip()) for word in change.words(_DIGITS))
    if one is None or two is None or one[1] != two[1]:
        return None
    before = change.left.rstrip(_DIGITS).decode("utf-8", "replace") + one[1]
    after = change.right.lstrip(_DIGITS).decode("utf-8", "replace")
    named = re.search(rf"(?:{names})[\s:=\"'()\[]{{0,24}}\Z", before, re.IGNORECASE) or re.match(
        rf"[\s\"']{{0,3}}(?:{names})\b", after, re.IGNORECASE
    )
    return (one[2], two[2]) if named else None
