"""Dates of the members of a tar archive."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="tar", name="mtime" | "pax atime" | "pax ctime" as name, a=a, b=b):
            return f"{name} {versus(a or 'none', b or 'none')}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="tar-dates",
    title="tar records when each file was changed",
    mend="tar --mtime=@$SOURCE_DATE_EPOCH, with --format=gnu or "
    "--pax-option=delete=atime,delete=ctime",
    explains=_explains,
)
