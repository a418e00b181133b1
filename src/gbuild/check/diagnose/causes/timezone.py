"""The same moment, written for another time zone."""

from __future__ import annotations

import re
from datetime import timedelta

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.dates import dates_of, distance
from gbuild.check.diagnose.differences import Change, Difference, Field

_STEP = timedelta(minutes=15)
_FARTHEST = timedelta(hours=26)
_DAY = timedelta(days=1)
_ZONE = re.compile(r"(?![AP]M\Z)(?:[A-Z]{1,5}|[+-]\d\d:?\d\d)\Z")


def same_moment(a: str, b: str) -> bool:
    """Say whether two times differ as those of two zones do: by whole quarters of an hour."""
    apart = distance(a, b)
    if apart and not apart % _DAY:  # the same time of another day
        return False
    return bool(apart) and abs(apart) <= _FARTHEST and not apart % _STEP  # type: ignore[arg-type, operator]


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="zip", name="mtime", a=a, b=b) if same_moment(a, b):
            return f"date {versus(a, b)}"
        case Change(text=True) as change:
            return _in_text(change)
        case _:
            pass
    return None


def _in_text(change: Change) -> str | None:
    found = dates_of(change)
    zones = change.words(b"+-:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if found and (same_moment(*found) or all(_ZONE.match(zone) for zone in zones)):
        return versus(*found)
    return None


CAUSE = Cause(
    name="timezone",
    title="a time is written for the builder's time zone",
    mend="export TZ=UTC, or write times in UTC (date -u, time.gmtime)",
    explains=_explains,
)
