"""An address in memory, which the kernel draws anew for every process."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.phrases import before

_TEXT = re.compile(
    r"(?:0x)?0{0,4}(?:7f[0-9a-f]{10}|5[56][0-9a-f]{10}|[7f][0-9a-f]{7}|5[67][0-9a-f]{6})\Z",
    re.IGNORECASE,
)
_PREFIXED = re.compile(r"0x0*(?:[0-9a-f]{9,12}|ffff[0-9a-f]{12})\Z", re.IGNORECASE)
"""Shorter ones may be a constant: an offset, a register, the start of a memory."""


_ROUND = re.compile(r"0{5}\Z")
"""Where somebody laid a memory out; what the kernel draws ends with three zeros at most."""
_IDENTITY = re.compile(r"(?=.*\d)[0-9a-f]{6,8}\Z")
_OBJECT = re.compile(r"[A-Za-z$;>\]]@\Z")
"""What Java's Object.toString() writes: a name and the identity of the object."""
_NAMED = re.compile(
    r"\b(?:addr(?:ess)?|pointer|ptr|at|handle|base|function|"
    r"table|userdata|thread|object|instance|load(?:ed)? at)(?: 0x| is)*\Z"
)
_PERL = re.compile(r"\b(?:HASH|ARRAY|CODE|SCALAR|GLOB|REF)\(\Z")
"""A reference of perl as text."""
_DECIMAL = re.compile(r"1(?:39|40)\d{12}\Z|9[34]\d{12}\Z")
"""The same as a decimal number, as Python's id() gives it."""
_HEX = b"0123456789abcdefABCDEFx"
_JOINED = re.compile(rb"[A-Za-z0-9_-]")


def _named(change: Change) -> bool:
    one, two = change.words(_HEX)
    left = change.left.rstrip(_HEX).decode("utf-8", "replace")
    if all(map(_IDENTITY.match, (one, two))) and _OBJECT.search(left):
        return not _part_of_a_name(change)
    if all(map(_DECIMAL.match, change.words(b"0123456789"))) and one != two:
        return True
    named = _PERL.search(left) or _NAMED.search(before(change, _HEX))
    plain = all(re.match(r"0x[0-9a-f]{6,16}\Z", word, re.IGNORECASE) for word in (one, two))
    return plain and one != two and bool(named)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(_HEX)
            if any(map(_ROUND.search, (one, two))):
                return None
            if _named(change):
                return versus(one, two)
            prefixed = one.startswith("0x")
            if not prefixed and _part_of_a_name(change):
                return None
            forms = (_TEXT, _PREFIXED) if prefixed else (_TEXT,)
            if (
                len(one) == len(two)
                and not one.isdigit()
                and any(f.match(one) and f.match(two) for f in forms)
            ):
                return versus(one, two)
        case Change(text=False, program=False, offset=offset) as change if offset >= 0:
            return _in_bytes(change)
        case _:
            pass
    return None


def _part_of_a_name(change: Change) -> bool:
    """Say whether letters or hyphens join the number to more, as in a UUID."""
    left, right = change.left.rstrip(_HEX), change.right.lstrip(_HEX)
    return bool(_JOINED.match(left[-1:]) or _JOINED.match(right[:1]))


def _in_bytes(change: Change) -> str | None:
    """Look for a little-endian pointer of a 64-bit process around the change."""
    around = len(change.left)
    one = change.left + change.a + change.right
    two = change.left_b + change.b + change.right_b
    for start in range(max(0, around + len(change.a) - 8), around + 1):
        x, y = (int.from_bytes(data[start : start + 8], "little") for data in (one, two))
        if _pointer(x) and _pointer(y):
            return versus(hex(x), hex(y))
    return None


def _pointer(value: int) -> bool:
    return value >> 40 in (0x7F, 0x7E, 0x55, 0x56)


CAUSE = Cause(
    name="address",
    title="an address in memory is in the artefact, or decided an order",
    mend="do not write pointers (%p, id()), and do not sort by them",
    explains=_explains,
)
