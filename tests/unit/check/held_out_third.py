"""The third set: written from public lists of causes before the diagnosers were read again.

The lists are the issues that reproducible-builds.org keeps of Debian's packages, the variations
of reprotest and what Baserock met. ``held_out_third.txt`` has texts; ``record_third.py`` made the
rest with real programs. A lot, the digest of a pair's name, halves the set: the diagnosers were
mended with one half at hand, the other was run once, afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import lzma

from tests.unit.check.held_out import HERE, Pair, pair, texts


def mended_for() -> list[Pair]:
    """The half that the diagnosers were mended with."""
    return [pair for pair in _all() if _lot(pair)]


def run_once() -> list[Pair]:
    """The half that nobody looked at the answers for until the mending was over."""
    return [pair for pair in _all() if not _lot(pair)]


def _lot(pair: Pair) -> bool:
    return hashlib.sha256(pair.name.encode()).digest()[0] % 2 == 1


def _all() -> list[Pair]:
    lines = (HERE / "held_out_third_tools.txt").read_text(encoding="ascii").splitlines()
    return [*texts("held_out_third.txt"), *(recorded(*line.split()) for line in lines)]


def recorded(name: str, causes: str, also: str, *sides: str) -> Pair:
    """A pair as a line holds it: causes parted by commas, both sides as xz in base 85."""
    first, second = (lzma.decompress(base64.b85decode(code)) for code in sides)
    return pair(name, first, second, causes.replace(",", " "), also.replace(",", " "))
