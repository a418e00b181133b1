"""Words of one line in another order: a set or a hash table was written as it came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.causes.locale_order import CAUSE as LOCALE_ORDER
from gbuild.check.diagnose.differences import Difference, Order

_ENTRY = re.compile(
    r"\s*(?:[\"'][^\"'\n]{1,80}[\"']\s*(?:(?:=>|:|=)\s*\S.*|,?)|"
    r"(?:\w+ ){0,2}[\w.-]+\s*(?:=>|[:=])\s*\S.*|"
    r"\w+\(.{1,200}\)[,;]?)\s*\Z"
)
"""A word in quotes, a key and its value, a call with the entry."""
_SEVERAL = 3
"""Entries; two neighbours that changed places were turned around by somebody."""
_LOOKED_AT = 2_000
_MOST = 0.8


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="line" | "strings", a=a, b=b):
            return versus(" ".join(a), " ".join(b)) if _listed(a) else None
        case _:
            pass
    return None


def _listed(items: Sequence[str]) -> bool:
    """Say whether items are those of a list, and no operands or arguments in a program."""
    names = sum(bool(_LETTER.search(item)) for item in items)
    parted = any(item in _SPACES for item in items)  # into words, for they are no items
    listed = names >= _SEVERAL + parted or items.count("=") >= _SEVERAL
    return listed and not _OPERATORS & set(items)


_LETTER = re.compile(r"[^\W\d]")
_SPACES = frozenset((" ", ".", "-"))
_OPERATORS = frozenset(
    ("&&", "||", "==", "!=", "+", "if", "return", "int", "char", "const", "void")
)


def _adds(difference: Difference) -> str | None:
    """Know lines that are entries of a table: it is a hash table that turned them around."""
    match difference:
        case Order(kind="text", a=a, b=b) if not LOCALE_ORDER.explains(difference):
            pairs = islice(zip(a, b, strict=True), _LOOKED_AT)
            moved = [x for x, y in pairs if x != y and x.strip(" \n\t{}[](),;")]
            keys = {line.partition(":")[0] for line in moved if ": " in line}
            if len(keys) == 1 and len(moved) > 1:
                return None  # messages of one kind, not entries
            if sum(bool(_ENTRY.match(line)) for line in moved) >= _MOST * len(moved):
                return f"{len(moved)} entries: {versus(a[0].strip(), b[0].strip())}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="hash-order",
    title="the entries of a set or hash table were written in its own order",
    mend="sort before writing (sorted(...), sort keys ...); PYTHONHASHSEED=0 only hides it",
    explains=_explains,
    adds=_adds,
)
