"""Memory that was written without having been set: padding, unused ends of fields."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Weak, versus
from gbuild.check.diagnose.differences import Change, Difference

_PATTERNS = frozenset(b"\x5a\xa5")
"""What the C library fills memory with for MALLOC_PERTURB_=165: new 0x5a, freed 0xa5."""

_STRING = re.compile(rb"[\x20-\x7e]{0,200}[\x21-\x7e]\0\Z")
_ZEROED = re.compile(rb"\0*")
_NOISE = 6, 64
"""Bytes behind a string that are taken for noise; fewer may be a number, more are content."""
_ROUND = 12
_DIGESTS = frozenset((8, 16, 20, 28, 32, 48, 64))
_CONSTANT = (5, 15)
"""So many bytes of one value, on either side another one, are a filler of the C library's."""
_ZEROS = 6
"""Bytes of zeros on one side that are taken for padding; fewer may be a small number."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(a=a, b=b, program=False, offset=offset) if offset >= 0 and len(a) == len(b):
            if _after_string(difference):
                return versus(a.hex(" "), b.hex(" "))
            for one, two in ((a, b), (b, a)):
                filler = set(one)
                if _CONSTANT[0] <= len(one) <= _CONSTANT[1] and len(filler) == len(set(two)) == 1:
                    return versus(a.hex(" "), b.hex(" "))
                if filler <= _PATTERNS and len(one) > 1 and len(set(two)) >= 1:
                    return versus(a.hex(" "), b.hex(" "))
                if filler == {0} and len(one) >= _ZEROS and not _meant(two):
                    return Weak(versus(a.hex(" "), b.hex(" ")))
        case _:
            pass
    return None


def _after_string(change: Change) -> bool:
    """Know what is behind the end of a string in a field of its own: noise on both sides.

    Strings of a record end at the same place on both sides, and the noise fills a round width.
    """
    skip = change.a[:1] == change.b[:1] == b"\0"
    lefts = change.left + change.a[:skip], change.left_b + change.b[:skip]
    before, other = (_STRING.search(side) for side in lefts)
    if before is None or other is None or not _NOISE[0] <= len(change.a) <= _NOISE[1]:
        return False
    if len(before[0]) != len(other[0]) or any(map(_meant, (change.a, change.b))):
        return False
    width = len(before[0]) + len(change.a) + len(_ZEROED.match(change.right)[0])  # type: ignore[index]
    noisy = all(len(set(side)) * 2 > len(side) for side in (change.a, change.b))
    return noisy and len(change.a) not in _DIGESTS and width >= _ROUND


def _meant(data: bytes) -> bool:
    """Say whether bytes look like something that was written on purpose: a text, one number."""
    printable = all(0x20 <= byte < 0x7F or byte in b"\0\t\n\r" for byte in data)
    return printable or len(set(data)) == 1


CAUSE = Cause(
    name="uninitialised",
    title="memory was written that nobody had set",
    mend="clear structures before filling them (= {0}, calloc); valgrind finds the place",
    explains=_explains,
)
