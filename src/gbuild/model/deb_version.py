"""Which of two versions of a Debian package is newer. Pure.

deb-version(7): epoch, upstream version and revision, compared by alternating runs of characters
that are no digits (``~`` before everything, even the end; letters before the rest) and of digits
as numbers.
"""

from __future__ import annotations

import re
from itertools import zip_longest

_PARTS = re.compile(r"(\D*)(\d*)")
Key = tuple[tuple[tuple[int, ...], int], ...]


def newer(a: str, b: str) -> int:
    """Return 1 when ``a`` is newer than ``b``, -1 when it is older, 0 when they are one."""
    for one, two in zip(_split(a), _split(b), strict=True):
        for x, y in zip_longest(_key(one), _key(two), fillvalue=((0,), 0)):
            if x != y:
                return 1 if x > y else -1
    return 0


def _split(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "0")


def _key(text: str) -> Key:
    """Return runs as (weights of the characters and of the end, number)."""
    return tuple(
        ((*map(_weight, letters), 0), int(digits or "0"))
        for letters, digits in _PARTS.findall(text)
        if letters or digits
    )


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
