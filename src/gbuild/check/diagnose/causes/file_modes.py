"""Permissions of the members of an archive, as the umask of the builder left them."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference, Field
from gbuild.check.diagnose.listings import column
from gbuild.check.diagnose.phrases import before

_OCTAL = re.compile(r"(?:10|[01])?0?[0-7]{3}\Z")
_NAMED = re.compile(r"(?:\bmode|\baccess|umask|permissions?)\W{1,4}[0-7]*\Z", re.IGNORECASE)
_SAID = re.compile(r"\b(?:umask|file mode|permissions)(?: value)?\Z")


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="tar" | "zip" | "cpio" | "rpm", name="mode", a=a, b=b):
            return f"mode {versus(a, b)}"
        case Change(text=True) as change:
            where, one, two = column(change)
            if where == "mode" and one[:4] == two[:4]:
                return versus(one, two)
            one, two = change.words(b"01234567")
            named = _NAMED.search(change.before) or _SAID.search(before(change, b"01234567"))
            if _by_umask(one, two) and named:
                return versus(one, two)
        case _:
            pass
    return None


def _by_umask(one: str, two: str) -> bool:
    """Say whether two modes differ in what a umask takes from group and others."""
    if not (_OCTAL.match(one) and _OCTAL.match(two)):
        return False
    return not (int(one, 8) ^ int(two, 8)) & ~0o077


CAUSE = Cause(
    name="file-modes",
    title="an archive records permissions that the umask decides",
    mend="set the umask in the script, or tar --mode=go=rX,u+rw,a-s",
    explains=_explains,
)
