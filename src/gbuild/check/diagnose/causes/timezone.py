"""The same moment, written for another time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from gbuild.check.diagnose.cause import Cause, Weak, versus
from gbuild.check.diagnose.dates import dated, same_moment, translated_date
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference, Field
from gbuild.check.diagnose.phrases import before

_STEP = timedelta(minutes=15)
_FARTHEST = timedelta(hours=26)
_DAY = timedelta(days=1)
_ABBREVIATION = re.compile(r"(?![AP]M\Z)(?:[A-Z]{1,5}|(?:UTC|GMT)?[+-]\d\d?(?::?\d\d)?|Z)\Z")
_NAME = re.compile(
    r"(?:(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|US|Etc|"
    r"Arctic)/[A-Za-z_+0-9-]+(?:/[A-Za-z_]+)?|UTC|GMT|Zulu|Universal|UCT)\Z"
)
_POSIX = re.compile(r"[A-Z]{3,5}[+-]?\d{1,2}(?::\d\d)?(?:[A-Z]{3,5})?\Z")
_NAMED = re.compile(r"\b(?:tz|tzname|time ?zone|zone|zone ?info|utc offset|gmt offset)(?: \w+)?\Z")
_WORD = ALPHANUMERIC + b"_/+-:"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="zip", name="mtime", a=a, b=b) if _apart_by_zone(a, b):
            return f"date {versus(a, b)}"
        case Change(text=True) as change:
            return _in_text(change) or _alone(change)
        case _:
            pass
    return None


def _apart_by_zone(a: str, b: str) -> bool:
    try:
        apart = datetime.fromisoformat(b) - datetime.fromisoformat(a)
    except ValueError:
        return False
    return bool(apart % _DAY) and abs(apart) <= _FARTHEST and not apart % _STEP


def _in_text(change: Change) -> str | None:
    found = dated(change)
    if not found or translated_date(*change.lines()):
        return None
    zones = change.words(b"+-:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    written = all(_ABBREVIATION.match(zone) for zone in zones) and zones[0] != zones[1]
    only_zone = written and found.a.clock == found.b.clock and found.a.day == found.b.day
    if only_zone or same_moment(found.a, found.b):
        return versus(*found.texts)
    return None


def _alone(change: Change) -> str | None:
    """Know the name of a zone without a time."""
    one, two = (word.strip(":/") for word in change.words(_WORD))
    named = bool(_NAMED.search(before(change, _WORD)))
    forms = (_NAME, _POSIX, _ABBREVIATION) if named else (_NAME,)
    known = all(any(form.match(word) for form in forms) for word in (one, two))
    distinct = named or "/" in one + two
    if not known or not distinct or one == two:
        return None
    if named:
        return versus(one, two)
    return Weak(versus(one, two)) if change.lines()[0].strip(" \"'") == one else None


def _adds(difference: Difference) -> str | None:
    """Know another zone beside another moment; or dates of a zip that are hours apart."""
    match difference:
        case Field(kind="zip", name="mtime", a=a, b=b) if _apart_by_zone(a, b):
            return f"date {versus(a, b)}"
        case Change(text=True) as change if found := dated(change):
            zones = found.a.zone, found.b.zone
            if None not in zones and zones[0] != zones[1] and found.a.form == "date":
                return versus(*found.texts)
        case _:
            pass
    return None


CAUSE = Cause(
    name="timezone",
    title="a time is written for the builder's time zone",
    mend="export TZ=UTC, or write times in UTC (date -u, time.gmtime)",
    explains=_explains,
    adds=_adds,
)
