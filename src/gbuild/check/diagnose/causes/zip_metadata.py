"""What a zip file says of its members beside dates and modes: the system, owners, a comment."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="zip", name=name, a=a, b=b) if name.startswith(("extra", "system", "comm")):
            return f"{name} {versus(a or 'none', b or 'none')}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="zip-metadata",
    title="zip records owners, the system or a comment",
    mend="zip -X leaves extra fields away",
    explains=_explains,
)
