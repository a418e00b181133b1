"""Whole numbers that changed, and the words beside them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from gbuild.check.diagnose.cause import Sure, Weak, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.phrases import after, before

_DIGITS = b"0123456789"
_SIZED = b"0123456789."
_PLAIN = re.compile(r"\d+(?:\.\d+)?\Z")
_SETTING = re.compile(r"\b(?:max|maximum|min|minimum|limit|default|length|size of|timeout)\b")
"""Words of what somebody chose."""


_REQUIRED = re.compile(
    r"\b(?:requires?|needs?|recommend\w*|supports?|up to|at least|more than|minimum ram)\b",
    re.IGNORECASE,
)
"""Words of what a program has to have."""


def _required(change: Change) -> bool:
    return bool(_REQUIRED.search(change.lines()[0]))


_ASSIGNED = re.compile(r"[\w\"']\s*[:=]{1,2}\s*[\"']?\d*\Z|\w\s+\d*\Z")
_CLOSE = 20
"""Characters before a number that speak of it."""


def beside(
    names: str, *, units: str = "", most: float = 1e18, chosen: str = "(?!)"
) -> Callable[[Difference], str | None]:
    """Return what explains a number that changed beside one of ``names``.

    ``names`` and ``units`` are regular expressions of words (see :mod:`.phrases`): the first
    before the number, or right after it; the second may follow it. Larger ones than ``most`` are
    something else. What ``chosen`` matches may be a setting, where it is assigned.
    """
    ahead = re.compile(
        rf"(?<!\w)(?:{names})(?: (?:is|was|are|value|content|of|count|number|num|n|total|kb|mb|gb|"
        r"bytes|kib|mib|gib|unit|size|used|to|as|set|using|x|detected|found|present|here))*\Z"
    )
    behind = re.compile(rf"(?:{units or '(?!)'})?\s?(?:{names})\b")
    setting = re.compile(rf"(?:{chosen})\Z")

    def explains(difference: Difference) -> str | None:
        if not (isinstance(difference, Change) and difference.text) or _required(difference):
            return None
        one, two = (word.strip(".") for word in difference.words(_SIZED))
        if not (_PLAIN.match(one) and _PLAIN.match(two)) or one == two:
            return None
        words = before(difference, _SIZED)
        united = not units and (difference.right[:1].isalpha() or difference.right[:1] == b"%")
        if united or (not units and "." in one + two) or float(max(one, two, key=float)) > most:
            return None
        if not (ahead.search(words) or behind.match(after(difference, _SIZED))):
            return None
        evidence = versus(one, two)
        if _SETTING.search(words[-_CLOSE:]):
            set_ = units or setting.search(words)
            return None if set_ and all(map(_round, (one, two))) else Weak(evidence)
        assigned = _ASSIGNED.search(difference.before) and setting.search(words)
        measured = units and not any(map(_round, (one, two)))
        return Weak(evidence) if assigned else Sure(evidence) if measured else evidence

    return explains


_DIGITS_CHOSEN, _ODD = 2, 15
"""Digits of a number before its zeros, and how often a power of two, that somebody chooses."""


def _round(number: str) -> bool:
    """Say whether somebody may have chosen a number: no machine has 512 MB to the byte."""
    if "." in number:
        return False
    value = int(number)
    return len(number.rstrip("0")) <= _DIGITS_CHOSEN or value // (value & -value or 1) <= _ODD


def number_named(change: Change, names: str) -> tuple[str, str] | None:
    """Return both whole numbers when one of ``names`` (a pattern of words) is before them."""
    if not change.text:
        return None
    one, two = change.words(_DIGITS)
    if not (one.isdigit() and two.isdigit()):
        return None
    words = before(change, _DIGITS)
    found = re.search(rf"(?<!\w)(?:{names})(?: (?:is|was|no|nr|number|of|value))*\Z", words)
    return (one, two) if found else None
