"""The later sets: by others who knew only the names of the causes; each was run once.

Pairs were made by real programs in two surroundings (another date, host name, user, umask, kernel,
PATH and folder), or by hand as they would have written them. The diagnosers were mended after the
fourth was run, and again after the fifth, the sixth and the seventh were, but not after the
eighth. The files have one line a pair, as ``held_out_third_tools.txt``.
"""

from __future__ import annotations

from tests.unit.check.held_out import HERE, Pair
from tests.unit.check.held_out_third import recorded


def fourth() -> list[Pair]:
    """All of the fourth set."""
    return _read("held_out_fourth.txt")


def fifth() -> list[Pair]:
    """All of the fifth set."""
    return _read("held_out_fifth.txt")


def sixth() -> list[Pair]:
    """All of the sixth set."""
    return _read("held_out_sixth.txt")


def seventh() -> list[Pair]:
    """All of the seventh set."""
    return _read("held_out_seventh.txt")


def eighth() -> list[Pair]:
    """All of the eighth set: whoever mends the diagnosers for it has to write a ninth."""
    return _read("held_out_eighth.txt")


def _read(name: str) -> list[Pair]:
    lines = (HERE / name).read_text(encoding="ascii").splitlines()
    return [recorded(*line.split(" ")) for line in lines]
