"""Owners of the members of a tar archive."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="tar", name="uid" | "gid" | "user" | "group" as name, a=a, b=b):
            return f"{name} {versus(a or 'none', b or 'none')}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="tar-owners",
    title="tar records who owns each file",
    mend="tar --owner=0 --group=0 --numeric-owner",
    explains=_explains,
)
