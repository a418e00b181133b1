"""Dates and times as programs write them, found in a line of text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gbuild.check.diagnose.differences import Change

_MONTH = (
    r"(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
    r"|(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[A-Z]*)"
)
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AP]M)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[A-Z]{3,5}|[+-]\d{2}:?\d{2}))?"
_AFTER = rf"(?:(?:T|_|,? (?:at )?){_CLOCK}{_ZONE}|:\d{{4}})?"
_ISO = rf"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:[0-2]?\d|3[01]){_AFTER}"
_COMPACT = r"(?:[T_.-]?[0-2]\d[0-5]\d(?:[0-5]\d)?Z?)?"
_EPOCH = r"1\d{9}(?:[.]\d{1,9}|\d{3}|\d{6}|\d{9})?"
_FORMS = (
    rf"(?:{_DAY},? +)?{_MONTH} +[0-3]?\d,? +{_CLOCK}{_ZONE} +(?:19|20)\d\d",  # ctime, date(1)
    rf"(?:{_DAY},? +)?[0-3]?\d[ -]{_MONTH}[ -](?:19|20)\d\d(?:,? +{_CLOCK}{_ZONE})?",  # RFC 5322
    rf"(?:{_DAY},? +)?{_MONTH} +[0-3]?\d,? +(?:19|20)\d\d(?:,? +{_CLOCK}{_ZONE})?",  # __DATE__
    rf"{_MONTH} +(?:19|20)\d\d",
    rf"(?:19|20)\d\d[ -]{_MONTH}[ -][0-3]?\d(?:,? +{_CLOCK}{_ZONE})?",
    _ISO,
    rf"[0-3]?\d[/.][0-3]?\d[/.](?:19|20)\d\d(?:,? +{_CLOCK})?",
    rf"(?<![0-9A-Za-z])(?:D:)?20\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]){_COMPACT}(?![0-9A-Za-z])",
    rf"(?<![\d:.])[0-2]?\d:[0-5]\d:[0-5]\d(?:[.,]\d+)?{_ZONE}(?![\d:])",
    rf"{_MONTH} +[0-3]?\d +{_CLOCK}{_ZONE}",  # ls(1), syslog
    r"\((?:1[5-9]|2\d|3[0-3])\d{3} \d{1,5} \d{1,6} \d{1,6}\)",  # of Emacs: high, low, micro, pico
    rf"(?<![0-9A-Za-z.]){_EPOCH}[uU]?[lL]{{0,2}}(?![0-9A-Za-z])",
)
_ANY = re.compile("|".join(f"(?:{form})" for form in _FORMS))
_FULL = re.compile(
    r"(?P<y>\d{4})[-/.](?P<m>\d\d?)[-/.](?P<d>\d\d?)[T _](?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d))?"
)
_NAMED = re.compile(
    rf"(?P<m>{_MONTH}) +(?P<d>\d\d?),? +(?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d))?.*?(?P<y>\d{{4}})"
    rf"|(?P<d2>\d\d?)[ -](?P<m2>{_MONTH})[ -](?P<y2>\d{{4}}),? +(?P<H2>\d\d?):(?P<M2>\d\d)"
    rf"(?::(?P<S2>\d\d))?"
)
_BARE = re.compile(r"(?P<H>\d\d?):(?P<M>\d\d):(?P<S>\d\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


_SECONDS = re.compile(rf"{_EPOCH}[uUlL]{{0,3}}\Z")
_MEANT = re.compile(
    r"time|date|epoch|stamp|built|when|clock|created|generated|since", re.IGNORECASE
)
_MONTHLY = re.compile(rf"{_MONTH} +(?:19|20)\d\d\Z")
_YEARS = 3
"""Between two builds of which only month and year are told; what lies farther apart is a source."""
_APART = 40 * 86_400
"""Seconds between two builds of one thing, at most, where nothing says that they are times."""


def likely(change: Change, a: str, b: str) -> bool:
    """Say whether two dates are: bare numbers must be near, or something must call them times."""
    years = [re.search(r"\d{4}", text) for text in (a, b) if _MONTHLY.match(text)]
    if len(years) == 2 and years[0] and years[1]:
        return abs(int(years[0][0]) - int(years[1][0])) <= _YEARS
    if not (_SECONDS.match(a) and _SECONDS.match(b)):
        return True
    near = abs(int(a[:10]) - int(b[:10])) <= _APART
    return near or bool(_MEANT.search(change.lines()[0]))


@dataclass(frozen=True, slots=True)
class Date:
    """A date or a time in a line: where, and how it is written."""

    start: int
    end: int
    text: str


def dates(line: str) -> Iterator[Date]:
    """Yield every date or time in a line."""
    for match in _ANY.finditer(line):
        yield Date(match.start(), match.end(), match[0])


def date_at(line: str, start: int, end: int) -> Date | None:
    """Return the date that holds the characters from ``start`` to ``end``."""
    return next((d for d in dates(line) if d.start <= start and end <= d.end), None)


def dates_of(change: Change) -> tuple[str, str] | None:
    """Return the two dates that a change of text lies within, as they are written."""
    one, two = change.lines()
    start, start_b = change.places()
    here = date_at(one, start, start + len(change.a))
    there = date_at(two, start_b, start_b + len(change.b))
    return (here.text, there.text) if here and there else None


def distance(a: str, b: str) -> timedelta | None:
    """Return how far apart two times are as they are written, zones not counted.

    None when they are not both dates with a time, or both times.
    """
    one, two = _moment(a), _moment(b)
    return two - one if one and two else None


def _moment(text: str) -> datetime | None:
    if match := _FULL.search(text):
        found = match.groupdict()
    elif match := _NAMED.search(text):
        found = match.groupdict()
        found = {k: found.get(k) or found.get(f"{k}2") for k in "ymdHMS"}
        found["m"] = str(_MONTHS.index(str(found["m"])[:3].lower()) + 1)
    elif match := _BARE.search(text):
        found = {"y": "2000", "m": "1", "d": "1", **match.groupdict()}
    else:
        return None
    try:
        return datetime(*(int(found[k] or 0) for k in "ymdHMS"))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
