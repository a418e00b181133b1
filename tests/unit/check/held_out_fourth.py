"""The fourth set: written by somebody who knew only the names of the causes, run once.

Pairs were made by real programs in two surroundings (another date, host name, user, umask, kernel,
PATH and folder), or by hand as they would have written them. ``held_out_fourth.txt`` has one line
a pair, as held_out_third_tools.txt.
"""

from __future__ import annotations

from tests.unit.check.held_out import HERE, Pair
from tests.unit.check.held_out_third import recorded


def fourth() -> list[Pair]:
    """All of the fourth set."""
    lines = (HERE / "held_out_fourth.txt").read_text(encoding="ascii").splitlines()
    return [recorded(*line.split(" ")) for line in lines]
