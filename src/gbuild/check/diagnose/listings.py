"""Lines of ``ls -l`` and ``tar tv``: which column of one changed. Pure."""

from __future__ import annotations

import re
from typing import Literal

from gbuild.check.diagnose.differences import Change

Column = Literal["", "mode", "owner", "rest"]

_MODE = r"[-dlbcps][-r][-w][-xsS][-r][-w][-xsS][-r][-w][-xtT][.+@]?"
_LINE = re.compile(rf"\s*(?P<mode>{_MODE})(?:\s+\d+)?\s+(?P<owner>[^\s/]+(?:\s+|/)[^\s/]+)\s+\d")


def column(change: Change) -> tuple[Column, str, str]:
    """Return which column of a listing a change lies in, and both sides' values of it."""
    one, two = change.lines()
    here, there = _LINE.match(one), _LINE.match(two)
    if not change.text or here is None or there is None:
        return "", "", ""
    at = change.places()[0]
    for name in ("mode", "owner"):
        if here.start(name) <= at <= here.end(name) and here[name] != there[name]:
            return ("mode" if name == "mode" else "owner"), here[name], there[name]
    return "rest", "", ""
