"""The dates of the members of a zip file: local time in steps of two seconds."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field

_TIMES = "5554"
"""The extra field "UT", which holds times, as hex of its two bytes."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="zip", name="mtime", a=a, b=b):
            return f"date {versus(a, b)}"
        case Field(kind="zip", name=name, a=a, b=b) if name == f"extra {_TIMES}" and a and b:
            return f"extended time {versus(a, b)}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="zip-dates",
    title="zip records when each member was changed, in local time",
    mend="touch --date=@$SOURCE_DATE_EPOCH the files, zip -X, with TZ=UTC; or strip-nondeterminism",
    explains=_explains,
)
