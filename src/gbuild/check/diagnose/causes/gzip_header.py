"""The header of a gzip file: the time and the name of what was packed."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="gzip", name="mtime" | "name" | "comment" | "system" as name, a=a, b=b):
            return f"{name} {versus(a or 'none', b or 'none')}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="gzip-header",
    title="gzip writes the time and the name of the file into its header",
    mend="gzip --no-name (-n); in Python gzip.GzipFile(..., mtime=0)",
    explains=_explains,
)
