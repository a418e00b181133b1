"""Permissions of the members of an archive, as the umask of the builder left them."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="tar" | "zip" | "cpio", name="mode", a=a, b=b):
            return f"mode {versus(a, b)}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="file-modes",
    title="an archive records permissions that the umask decides",
    mend="set the umask in the script, or tar --mode=go=rX,u+rw,a-s",
    explains=_explains,
)
