"""Dates and times in text: every form that programs write, found and read. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from gbuild.check.diagnose.months import DAYS, month_of

_EARLIEST, _LATEST = 1990, 2040
_OFFSETS = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UCT", "WET"), 0),
    "CET": 60,
    "CEST": 120,
    "EET": 120,
    "EEST": 180,
    "BST": 60,
    "WEST": 60,
    "MSK": 180,
    "EST": -300,
    "EDT": -240,
    "CST": -360,
    "CDT": -300,
    "MST": -420,
    "MDT": -360,
    "PST": -480,
    "PDT": -420,
    "AKST": -540,
    "HST": -600,
    "JST": 540,
    "KST": 540,
    "IST": 330,
    "AEST": 600,
    "AEDT": 660,
    "ACST": 570,
    "AWST": 480,
    "NZST": 720,
    "NZDT": 780,
    "HKT": 480,
}
"""Minutes east of Greenwich of zones that have names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A date or a time in a line: where, how it is written, and what was read.

    ``day`` is None for a time alone; ``clock`` counts seconds after midnight, or is None;
    ``zone`` are minutes east of Greenwich, None when nothing tells. ``form`` is the kind of
    writing: ``clock``, ``month`` (without a day), ``year``, ``number`` (of seconds since 1970)
    or ``date``; ``fine`` says that seconds are written, ``name`` a month's name.
    """

    start: int
    end: int
    text: str
    form: str = "date"
    day: date | None = None
    clock: int | None = None
    zone: int | None = None
    fine: bool = False
    name: str = ""

    def instant(self) -> datetime | None:
        """The moment as it is written, without its zone; None when the time or day is missing."""
        if self.clock is None:
            return None
        day = self.day or date(2000, 1, 1)
        return datetime(day.year, day.month, day.day) + timedelta(seconds=self.clock)  # noqa: DTZ001


_Y = r"(?P<y>(?:19|20)\d\d)"
_M = r"(?P<m>0?[1-9]|1[0-2])"
_D = r"(?P<d>0?[1-9]|[12]\d|3[01])"
_MM, _DD = r"(?P<m>0[1-9]|1[0-2])", r"(?P<d>0[1-9]|[12]\d|3[01])"
_ZONE = (
    r"(?:\s?(?P<z>Z(?![A-Za-z])|UTC|GMT(?![+-])|(?:GMT|UTC)[+-]\d{1,2}(?::\d\d)?|"
    r"[+-]\d\d(?::?\d\d)?(?!\d)|[A-Z]{3,5}(?![A-Za-z])|\[[A-Za-z_/+-]+\]))?"
)
_T = (
    r"(?P<H>[0-2]?\d)(?:[:h](?P<M>[0-5]\d)(?::(?P<S>[0-6]\d)(?:[.,]\d{1,9})?)?)"
    rf"(?:\s?(?P<p>[AaPp]\.?[Mm]\.?)(?![A-Za-z]))?{_ZONE}"
)
_SEP = r"(?:,?\s+(?:at\s+|um\s+|-\s+|à\s+)?|T|_|\s?[-,@/;]\s?)"
_AFTER = rf"(?:{_SEP}{_T})?"
_ORDINAL = r"(?:st|nd|rd|th|er|\.)?"
_START = r"(?<![0-9A-Za-z])"
_END = r"(?![0-9])"
_B = r"(?P<b>[^\W\d_]{3,12})\.?"

_OF = r"(?:[ _./-]|\s+(?:de |of )?)"
_TIGHT = (
    r"(?:[T_. -]?(?P<H>[01]\d|2[0-3])[:h]?(?P<M>[0-5]\d)(?::?(?P<S>[0-5]\d)(?:[.,]\d{1,9})?)?)?"
    r"(?P<z>Z(?:00'00'?)?|[+-]\d\d'?:?\d\d'?)?(?![0-9A-Za-z])"
)
"""A time right after a date without separators, as PDF writes it."""
_PLAIN = (
    r"[-_T .](?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?:(?P<S>[0-5]\d)(?:[.,]\d{1,9})?)?"
    r"(?P<z>Z|[+-]\d{4})?(?![0-9A-Za-z:])"
)
"""A time without separators, after a date that has them."""
_LISTED = (
    r"(?:[\s,(){}\[\]]{1,6}(?P<H>[01]?\d|2[0-3])\s?,\s?(?P<M>[0-5]?\d)"
    r"(?:\s?,\s?(?P<S>[0-5]?\d))?)?(?![0-9])"
)
"""A time as a tuple of numbers."""

_DATES = (  # of ctime(3), __DATE__, date(1), RFC 5322, ISO 8601 and others
    rf"{_B}\s+{_D},?\s+{_T}\s+{_Y}{_END}",
    rf"{_B},?\s+{_D}{_ORDINAL},?\s+{_Y}{_END}{_AFTER}",
    rf"{_START}{_D}{_ORDINAL}\s+{_B},?\s+{_T}\s+{_Y}{_END}",
    rf"{_START}{_D}{_ORDINAL}{_OF}{_B},?{_OF}(?P<y>(?:19|20)\d\d|\d\d(?!:)){_END}{_AFTER}",
    rf"{_START}{_Y}[ _./-]\s?{_B}[ _./-]\s?{_D}{_END}{_AFTER}",
    rf"(?<![0-9.]){_Y}[-/._:]{_M}[-/._:]{_D}(?![0-9]){_AFTER}(?::\d{{4}}(?!\d))?",
    rf"(?<![0-9.]){_Y}[-/._]{_MM}[-/._]{_DD}{_PLAIN}",
    rf"{_START}{_Y}年\s?{_M}月\s?{_D}日(?:\s*{_T})?",
    rf"{_START}{_D}(?P<s>[/.-])\s?{_M}(?P=s)\s?{_Y}{_END}{_AFTER}",
    rf"{_START}{_M}(?P<s>[/-]){_D}(?P=s){_Y}{_END}{_AFTER}",
    rf"{_START}{_M}(?P<s>[/-]){_DD}(?P=s)(?P<y>\d\d){_END}{_AFTER}",
    rf"{_START}{_D}(?P<s>[/.-]){_MM}(?P=s)(?P<y>\d\d){_END}{_AFTER}",
    rf"{_START}(?P<y>\d\d)(?P<s>[/-]){_MM}(?P=s){_DD}{_END}{_AFTER}",
    rf"(?<![0-9A-Za-z])(?:D:)?{_Y}{_MM}{_DD}{_TIGHT}",
    rf"(?<=[A-Za-z~+]){_Y}{_MM}{_DD}(?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?P<S>[0-5]\d)(?![0-9])",
    rf"(?<=[A-Za-z~+]){_Y}{_MM}{_DD}(?![0-9A-Za-z])",
    rf"{_START}{_Y}\s?,\s?{_M}\s?,\s?{_D}{_LISTED}",
    rf"{_START}{_Y}-?W(?P<week>[0-5]\d)(?:-?[1-7])?(?![0-9A-Za-z])",
    rf"{_START}{_Y}[-.](?P<j>[0-3]\d\d)(?![0-9]){_AFTER}",
    rf"{_B}\s+{_D},?\s+{_T}",  # ls(1), syslog
    rf"{_START}{_D}{_ORDINAL}\s+{_B},?\s+{_T}",
)
_PARTS = (
    ("month", rf"(?<![^\W\d_]){_B}[ ,_-]+{_Y}{_END}"),
    ("month", rf"{_START}{_Y}[ -]{_B}"),
    ("month", rf"(?<![0-9A-Za-z./-]){_Y}[-/]{_MM}(?![-/0-9.A-Za-z])"),
    ("month", rf"(?<![0-9A-Za-z./-]){_MM}/{_Y}(?![/0-9A-Za-z])"),
    ("part", rf"(?<![^\W\d_]){_B}\s+{_D}(?![0-9:.])"),
    ("part", rf"{_START}{_D}{_ORDINAL}\s+{_B}"),
    ("clock", rf"(?<![\d:.,A-Za-z]){_T}(?![\d:])"),
    ("year", rf"(?<![0-9A-Za-z.$#]){_Y}(?![0-9A-Za-z]|\.\d)"),
)
_EMACS = re.compile(
    r"\((?P<high>1[5-9]\d{3}|2\d{4}|3[0-3]\d{3}) (?P<low>\d{1,5})(?: \d{1,6}){0,2}\)"
)
_EPOCH = re.compile(
    r"(?<![0-9A-Za-z.])(?P<e>1\d{9}|2[01]\d{8})(?:[.]\d{1,9}|\d{3}|\d{6}|\d{9})?(?:[uU]?[lL]{0,2})"
    r"(?![0-9A-Za-z])"
)
_FILETIME = re.compile(r"(?<![0-9A-Za-z.])(?P<e>1[23]\d{16}|6[34]\d{16})(?:[uU]?[lL]{0,2})(?!\w)")
"""Tenths of microseconds since 1601 (Windows), or since the year 1 (.NET)."""
_HEX = re.compile(
    r"(?<![0-9A-Za-z])(?=0x|\d*[a-fA-F])(?:0x)?(?P<e>[3-7][0-9a-fA-F]{7})(?:[uU]?[lL]{0,2})(?![0-9A-Za-z]|-[0-9a-f]{4}-)"
)
_ZONED = re.compile(r" [+-][01]\d[0-5]\d\b")
"""What git writes behind a number of seconds."""
_JULIAN = re.compile(r"(?<![0-9A-Za-z.])(?P<e>24[4-7]\d{4}\.\d{1,9})(?![0-9A-Za-z])")

_FORMS = tuple(("date", re.compile(form)) for form in _DATES) + tuple(
    (kind, re.compile(form)) for kind, form in _PARTS
)
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], int]], ...] = (
    (_EPOCH, lambda m: int(m["e"])),
    (_EMACS, lambda m: (int(m["high"]) << 16) + int(m["low"])),
    (_HEX, lambda m: int(m["e"], 16)),
    (_JULIAN, lambda m: int((float(m["e"]) - 2440587.5) * 86400)),
    (
        _FILETIME,
        lambda m: int(m["e"]) // 10**7 - (62135596800 if m["e"][0] == "6" else 11644473600),
    ),
)


@lru_cache(maxsize=256)
def moments(line: str) -> tuple[Moment, ...]:
    """Return every date or time in a line, those that are inside of others too."""
    return tuple(_moments(line))


_WEEKDAY = re.compile(r"(?<![^\W\d_])([^\W\d_]{2,12})[.,]{0,2}\s*\Z")


def _weekday(line: str, start: int) -> int:
    """Return where the name of a day before a date starts, or the date."""
    match = _WEEKDAY.search(line[max(0, start - 16) : start])
    known = match is not None and match[1].casefold() in DAYS
    return start - len(match[0]) if match and known else start


def _moments(line: str) -> Iterator[Moment]:
    for form, pattern in _FORMS:
        for match in pattern.finditer(line):
            if (moment := _read(form, match, line)) is not None:
                yield moment
    for pattern, seconds in _NUMBERS:
        for match in pattern.finditer(line):
            if (moment := _number(match, seconds(match))) is not None:
                yield moment


def moments_at(line: str, start: int, end: int) -> list[Moment]:
    """Return those that hold the characters from ``start`` to ``end``, the longest first."""
    found = [m for m in moments(line) if m.start <= start and end <= m.end]
    return sorted(found, key=lambda m: m.start - m.end)


def _number(match: re.Match[str], seconds: int) -> Moment | None:
    try:
        then = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    if not _EARLIEST <= then.year <= _LATEST:
        return None
    clock = then.hour * 3600 + then.minute * 60 + then.second
    form = {_HEX: "hex", _EMACS: "stamp"}.get(match.re, "number")
    if form == "number" and _ZONED.match(match.string, match.end()):
        form = "stamp"
    return Moment(start=match.start(), end=match.end(), text=match[0], form=form,
                  day=then.date(), clock=clock, zone=0, fine=True)  # fmt: skip


def _read(form: str, match: re.Match[str], line: str) -> Moment | None:
    got = {key: value for key, value in match.groupdict().items() if value is not None}
    try:
        day = _day(got)
        clock = _clock(got)
    except ValueError:
        return None
    start = _weekday(line, match.start())
    text = line[start : match.end()]
    start += len(text) - len(text.lstrip())
    return Moment(start=start, end=match.end(), text=text.strip(), form=form,
                  day=day, clock=clock, zone=_zone(got.get("z", "")), fine="S" in got,
                  name=got.get("b", ""))  # fmt: skip


def _day(got: dict[str, str]) -> date | None:
    month = month_of(got["b"]) if "b" in got else int(got.get("m", "1"))
    if not month:
        raise ValueError(got["b"])
    if "y" not in got:
        return date(2000, month, int(got["d"])) if "d" in got else None
    year = int(got["y"])
    year += 0 if year > 99 else 2000
    if not _EARLIEST <= year <= _LATEST:
        raise ValueError(year)
    if "week" in got:
        return date.fromisocalendar(year, int(got["week"]), 1)
    if "j" in got:
        return date(year, 1, 1) + timedelta(days=int(got["j"]) - 1)
    return date(year, month, int(got.get("d", "1")))


def _clock(got: dict[str, str]) -> int | None:
    if "H" not in got:
        return None
    hour = int(got["H"])
    if half := got.get("p", "").lower()[:1]:
        hour = hour % 12 + 12 * (half == "p")
    if hour > 23:
        raise ValueError(hour)
    return hour * 3600 + int(got.get("M", "0")) * 60 + min(59, int(got.get("S", "0")))


def _zone(text: str) -> int | None:
    plain = text.replace("'", "").replace(":", "").removeprefix("GMT").removeprefix("UTC")
    if plain[:1] in ("+", "-") and plain[1:].isdigit():
        digits = plain[1:].rjust(2, "0").ljust(4, "0") if len(plain) < 5 else plain[1:]
        return (int(digits[:2]) * 60 + int(digits[2:4])) * (-1 if plain[0] == "-" else 1)
    return _OFFSETS.get(text)
