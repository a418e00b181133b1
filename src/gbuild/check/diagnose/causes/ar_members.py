"""Dates, owners and modes of the members of a static library or a .deb."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="ar", name=name, a=a, b=b):
            return f"{name} {versus(a, b)}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="ar-members",
    title="ar records when and by whom each member was made",
    mend="ar with D (ARFLAGS=Dcr) and ranlib -D; Debian's binutils do so unless U is given",
    explains=_explains,
)
