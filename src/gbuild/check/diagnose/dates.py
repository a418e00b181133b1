"""Two dates or times that a change lies within, and how they are related. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from gbuild.check.diagnose.differences import Change
from gbuild.check.diagnose.moments import Moment, moments, moments_at
from gbuild.check.diagnose.months import shared_language
from gbuild.check.diagnose.phrases import before, line_words

_WINDOW = 90
"""Characters on either side of a change in which a date may begin or end."""
_HOUR = 3_600
_QUARTER, _DAY, _FARTHEST = 900, 86_400, 26 * 3_600
_APART = 40 * _DAY
"""Seconds between two builds of one thing, at most, where nothing says that they are times."""
_YEARS = 3
"""Between two builds of which only month and year are told; what lies farther apart is a source."""
_MEANT = re.compile(
    r"time|date|epoch|stamp|built|build|when|clock|created?|generated|since|modified|compiled|"
    r"updated|packaged|mtime|ctime|\bth\b|expir|not (?:before|after)|edited|printed|stand\b"
)
_BUILT = re.compile(
    r"built|\bbuild|compil|generat|creat|packag|stamp|produced|configured|installed|updated|"
    r"timestamp|mtime|now\b|__date__|\bth\b"
)
_BEGINNING = 16
"""Characters of a line in which its own time stands."""
_CERTIFIED = re.compile(r"\bnot (?:before|after)\b")
"""From when until when a certificate is valid."""
_OLDEST = 2000
"""The year of the oldest build."""
_NEAR = 10 * _DAY
"""Seconds between two builds whose dates nothing calls those of builds."""
_STAMP = re.compile(r"stamp|\btime\b|\bepoch\b|\bts\b|\b[cmab]time\b")
_COPYRIGHT = re.compile(
    r"copyright|copyleft|copy\b|\bc\b|year|all rights|date|\bth\b|built|generated|©"
)
_DIGITS = b"0123456789"


@dataclass(frozen=True, slots=True)
class Dated:
    """The dates of both sides; ``sure`` says that nothing else has to speak for them."""

    a: Moment
    b: Moment
    sure: bool

    @property
    def texts(self) -> tuple[str, str]:
        """Both as they are written."""
        return self.a.text, self.b.text


_KEYWORD = re.compile(r"\$(?:Date|Id|Header|Revision|RCSfile)[:$]")
"""What a version control system writes into sources."""


def dated(change: Change) -> Dated | None:
    """Return the dates that a change of text lies within, when they are those of two builds."""
    lines = change.lines()
    if _KEYWORD.search(lines[0]):
        return None
    places = change.places()
    both = []
    for line, start, side in zip(lines, places, (change.a, change.b), strict=True):
        end = start + len(side.decode("utf-8", "replace"))
        low = max(0, start - _WINDOW)
        both.append(moments_at(line[low : end + _WINDOW], start - low, end - low))
    for one in both[0]:
        same = [two for two in both[1] if two.form == one.form]
        for two in same:
            if one.text == two.text:
                continue
            if (one.day, one.clock, one.zone) == (two.day, two.clock, two.zone):
                return None  # the same time, written in another way
            if (sure := _plausible(change, one, two)) is not None:
                return Dated(one, two, sure)
    return None


def _plausible(change: Change, one: Moment, two: Moment) -> bool | None:
    """Say whether two moments are those of builds: None for no, False for perhaps."""
    apart = _apart(one, two)
    words = line_words(change)
    built = bool(_BUILT.search(words) or _CERTIFIED.search(words))
    old = min(moment.day.year if moment.day else _OLDEST for moment in (one, two)) < _OLDEST
    if (old or change.listed) and not built:
        return None
    match one.form:
        case "hex" | "number":
            sure = _number_meant(change, one)
            return sure if sure or apart <= _APART else None
        case "stamp":
            sure = apart <= _YEARS * 366 * _DAY
        case "month":
            sure = apart <= _YEARS * 366 * _DAY or built
        case "year":
            near = apart <= 2 * _YEARS * 366 * _DAY
            return False if near and _COPYRIGHT.search(line_words(change)) else None
        case "part":
            return False if _meant(change) else None
        case "clock":
            # below an hour, it is how long something is; with an arrow, a place in a film
            passed = max(one.clock or 0, two.clock or 0) < _HOUR or "-->" in change.lines()[0]
            told = built or _meant(change) or one.start < _BEGINNING
            sure = not passed and told and (one.fine or built)
        case _:
            near = apart <= _NEAR or built
            return near and (one.clock is not None or _meant(change))
    return sure or None


def _number_meant(change: Change, one: Moment) -> bool:
    """Say whether something calls a number a time, or a line has nothing else."""
    named = _STAMP if one.form == "hex" else _MEANT
    alone = one.form != "hex" and change.lines()[0].strip() == one.text
    if one.form != "hex" and _QUERY.search(_NUMBER.sub("", change.before)):
        return True
    return alone or (bool(named.search(line_words(change))) and _assigned(change))


_NUMBER = re.compile(r"(?:0x)?[0-9a-fA-F]*\Z")
_QUERY = re.compile(r"\w\?(?:\w{1,3}=)?\Z")
"""What makes a browser ask again: the time behind the name of a file."""
_SET = re.compile(r"[:=>\"'(,{\[]\s*-?\Z|built \w*\s*\Z|at \Z", re.IGNORECASE)


def _assigned(change: Change) -> bool:
    """Say whether a number is the value of something, and no word of a sentence."""
    left = _NUMBER.sub("", change.left.decode("utf-8", "replace"))
    return bool(_SET.search(left)) or bool(_BUILT.search(line_words(change)))


def scattered(changes: Iterable[Change]) -> bool:
    """Say whether the dates of one side are far from one another: a table has them, no build."""
    days: list[set[date]] = [set(), set()]
    for change in changes:
        found = dated(change)
        if found is None or found.a.form not in ("date", "part") or said_to_be_built(change):
            continue
        for side, moment in zip(days, (found.a, found.b), strict=True):
            if moment.day:
                side.add(moment.day)
    return any(side and (max(side) - min(side)).days > _SPREAD for side in days)


_SPREAD = 1
"""Days that a build may take."""
_VALID = re.compile(r"not (?:before|after)|expir|valid|until|since")


def said_to_be_built(change: Change) -> bool:
    """Say whether a line tells that its date is that of a build, or of what lasts from then."""
    words = line_words(change)
    return bool(_BUILT.search(words) or _VALID.search(words))


def _meant(change: Change) -> bool:
    return bool(_MEANT.search(line_words(change)) or _MEANT.search(before(change, _DIGITS)))


def _apart(one: Moment, two: Moment) -> float:
    """Return the seconds between two days; where one is not told, they are not near."""
    if one.day is None or two.day is None:
        return math.inf
    return abs((one.day - two.day).total_seconds())


def same_moment(one: Moment, two: Moment) -> bool:
    """Say whether two times differ as those of two zones do: by whole quarters of an hour.

    Where both tell their zone, it must be the same moment.
    """
    here, there = one.instant(), two.instant()
    if here is None or there is None or (one.day is None) != (two.day is None):
        return False
    apart = (there - here).total_seconds()
    if one.zone is not None and two.zone is not None and one.form == "date":
        return one.zone != two.zone and apart == (two.zone - one.zone) * 60
    if one.day is None and apart % _DAY > _DAY / 2:
        apart = -((-apart) % _DAY)
    step = _QUARTER if one.fine and two.fine else 2 * _QUARTER
    return bool(apart % _DAY) and abs(apart) <= _FARTHEST and not apart % step


_DATED = re.compile(r"\d")


@lru_cache(maxsize=256)
def translated_date(one: str, two: str) -> tuple[str, str] | None:
    """Return two writings of one date in two languages, or by the customs of two."""
    if not (_DATED.search(one) and _DATED.search(two)):
        return None
    here = [m for m in moments(one) if m.form in ("date", "month", "part", "clock")]
    there = [m for m in moments(two) if m.form in ("date", "month", "part", "clock")]
    for x in sorted(here, key=lambda m: m.start - m.end):
        for y in sorted(there, key=lambda m: m.start - m.end):
            if x.form == y.form and x.text != y.text and _one_date(x, y):
                return x.text, y.text
    return None


def in_two_languages(one: str, two: str) -> bool:
    """Say whether two lines have dates with months in two languages, whatever the days."""
    if not (_DATED.search(one) and _DATED.search(two)):
        return False
    here, there = ({m.name for m in moments(line) if m.name} for line in (one, two))
    pairs = [(x, y) for x in here for y in there]
    return bool(pairs) and not any(shared_language(x, y) for x, y in pairs)


def _one_date(one: Moment, two: Moment) -> bool:
    if one.form == "clock":
        twelve = [bool(re.search(r"[AaPp]\.?[Mm]", m.text)) for m in (one, two)]
        return one.clock == two.clock and twelve[0] != twelve[1]
    if one.day != two.day or (one.clock, one.zone) != (two.clock, two.zone):
        return False
    if one.name and two.name:
        return not shared_language(one.name, two.name) or _shape(one) != _shape(two)
    return _shape(one) != _shape(two)


def _shape(moment: Moment) -> str:
    """Return how a date is written: the order of its parts and what is between them."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", re.sub(r"\s+", " ", moment.text)))
