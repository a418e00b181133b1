"""The time of the build, as text, as a number or in a header."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from gbuild.check.diagnose.cause import Cause, Weak, versus
from gbuild.check.diagnose.dates import Dated, dated, translated_date
from gbuild.check.diagnose.differences import Change, Difference, Field
from gbuild.check.diagnose.months import shared_language
from gbuild.check.diagnose.numbers import number_named
from gbuild.check.diagnose.phrases import about_kernel, before

_FIRST, _LAST = 1_262_304_000, 2_019_686_400
"""2010 to 2033: a number of four bytes outside is not taken for a time."""

_YEARS = 3 * 366 * 86_400
"""Seconds between two numbers of eight bytes, which are less likely to be met by chance."""
_MARSHALLED = (b"i", b"\xe9")
"""What Python's marshal format has before a number of four bytes."""
_APART = 40 * 86_400
"""Seconds: two numbers in a binary file that lie farther apart are not taken for times."""

_FIELDS = ("mtime", "created", "modified", "build time")
_KINDS = (
    "pe",
    "png",
    "ttf",
    "rpm",
    "squashfs",
    "ext",
    "iso",
    "pdf",
    "x509",
    "uimage",
    "fat",
    "git",
)
_COMPONENT = (
    r"(?:build|built|compiled?|compilation|package|stamp) (?:date |time )?"
    r"(?:year|month|day|hour|minute|second)"
)
_LEGAL = re.compile(r"(?:\A|[/ .])(?:copyright|LICEN[CS]E|COPYING|AUTHORS|NOTICE)(?:\.\w+)?\Z")
_ELAPSED = re.compile(r"elapsed|duration|took|total time|run ?time|uptime")
_VERSION = re.compile(r"version|release|serial|revision|standard|\bstd\b|\brfc\b")


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(name=name, kind=kind, a=a, b=b) if name in _FIELDS and kind in _KINDS:
            return f"{kind} header {versus(a, b)}"
        case Change(text=True) as change if found := dated(change):
            words = before(change, b"0123456789:.,")
            if translated_date(*change.lines()) or about_kernel(change.lines()[0]):
                return None
            return _of_date(change, found, words)
        case Change() as change if found_in := number_named(change, _COMPONENT):
            return versus(*found_in)
        case Change(text=False, program=False, offset=offset) as change if offset >= 0:
            return _in_bytes(change)
        case _:
            pass
    return None


def _of_date(change: Change, found: Dated, words: str) -> str | None:
    """Say how sure two dates are those of builds, by the words before them."""
    legal = found.a.form == "year" and _LEGAL.search(change.where)
    if legal or (found.a.form == "clock" and _ELAPSED.search(words)):
        return None
    evidence = versus(*found.texts)
    sure = found.sure and not _VERSION.search(" ".join(words.split()[-2:]))
    return evidence if sure else Weak(evidence)


def _in_bytes(change: Change) -> str | None:
    """Look for a number of four bytes around the change that is a time on both sides."""
    if len(change.a) > 4:
        return _milliseconds(change)
    at = len(change.left)
    one = change.left + change.a + change.right
    two = change.left_b + change.b + change.right_b
    orders: tuple[tuple[int, Literal["little", "big"]], ...] = (
        (at, "little"),
        (at + len(change.a) - 4, "big"),
    )
    for start, order in orders:
        if start < 0 or len(one) < start + 4 or not _placed(change, start, one):
            continue
        x, y = (int.from_bytes(side[start : start + 4], order) for side in (one, two))
        written = all(map(_is_text, (one[start : start + 4], two[start : start + 4])))
        if _times(x, y) and _all_low(x, y) and not written:
            return Weak(versus(_written(x), _written(y)))
    return None


def _placed(change: Change, start: int, side: bytes) -> bool:
    """Say whether a number may begin there; one byte that changed is little to go by."""
    if change.where.endswith(".pyc"):
        return side[start - 1 : start] in _MARSHALLED
    aligned = not (change.offset - len(change.left) + start) % 4
    return aligned or len(change.a) > 1


def _all_low(x: int, y: int) -> bool:
    """Say whether two numbers differ in every byte from the highest that differs down."""
    apart = x ^ y
    return all(apart >> shift & 255 for shift in range(0, apart.bit_length(), 8))


def _is_text(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in data)


def _milliseconds(change: Change) -> str | None:
    """Look for a number of eight bytes that counts milliseconds, as Qt and Java do."""
    around = len(change.left)
    one = change.left + change.a + change.right
    two = change.left_b + change.b + change.right_b
    for start in range(max(0, around + len(change.a) - 8), around + 1):
        for order in ("little", "big"):
            x, y = (int.from_bytes(d[start : start + 8], order) // 1000 for d in (one, two))
            if (
                len(one) >= start + 8
                and all(_FIRST <= n <= _LAST for n in (x, y))
                and abs(x - y) <= _YEARS
            ):
                return versus(_written(x), _written(y))
    return None


def _times(x: int, y: int) -> bool:
    return _FIRST <= x <= _LAST and _FIRST <= y <= _LAST and abs(x - y) <= _APART


def _written(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


def _adds(difference: Difference) -> str | None:
    """Know dates of two days in two languages."""
    match difference:
        case Change(text=True) as change if found := dated(change):
            names = found.a.name, found.b.name
            if all(names) and found.a.day != found.b.day and not shared_language(*names):
                return versus(*found.texts)
        case _:
            pass
    return None


CAUSE = Cause(
    name="timestamp",
    title="the time of the build is in the artefact",
    mend="use SOURCE_DATE_EPOCH in place of the clock (date -u -d @$SOURCE_DATE_EPOCH), "
    "drop __DATE__ and __TIME__",
    explains=_explains,
    adds=_adds,
)
