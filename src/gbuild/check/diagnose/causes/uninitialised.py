"""Memory that was written without having been set: padding, unused ends of fields."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_PATTERNS = frozenset(b"\x5a\xa5")
"""What the C library fills memory with for MALLOC_PERTURB_=165: new 0x5a, freed 0xa5."""

_CONSTANT = (5, 15)
"""So many bytes of one value, on either side another one, are a filler of the C library's."""
_ZEROS = 6
"""Bytes of zeros on one side that are taken for padding; fewer may be a small number."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(a=a, b=b, program=False, offset=offset) if offset >= 0 and len(a) == len(b):
            for one, two in ((a, b), (b, a)):
                filler = set(one)
                if _CONSTANT[0] <= len(one) <= _CONSTANT[1] and len(filler) == len(set(two)) == 1:
                    return versus(a.hex(" "), b.hex(" "))
                if filler <= _PATTERNS and len(one) > 1 and len(set(two)) >= 1:
                    return versus(a.hex(" "), b.hex(" "))
                if filler == {0} and len(one) >= _ZEROS and not _meant(two):
                    return versus(a.hex(" "), b.hex(" "))
        case _:
            pass
    return None


def _meant(data: bytes) -> bool:
    """Say whether bytes look like something that was written on purpose: a text, one number."""
    printable = all(0x20 <= byte < 0x7F for byte in data.rstrip(b"\0"))
    return printable or len(set(data)) == 1


CAUSE = Cause(
    name="uninitialised",
    title="memory was written that nobody had set",
    mend="clear structures before filling them (= {0}, calloc); valgrind finds the place",
    explains=_explains,
)
