"""The version of the kernel that ran the build."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?(?:[-+.~][0-9A-Za-z.+~_-]+)?\Z")
_NAMED = re.compile(r"(?:linux|kernel|uname|utsname|osrelease|osvers|os_release)", re.IGNORECASE)
_BUILT = re.compile(r"(?:uname|\blinux ).*#\d+\S* SMP", re.IGNORECASE)
"""A line with the field "version" of utsname: how the kernel was built."""

_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.+~_-"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(_WORD)
            one, two = (word.removeprefix("Linux-").removeprefix("linux-") for word in (one, two))
            if _VERSION.match(one) and _VERSION.match(two) and _NAMED.search(change.lines()[0]):
                return versus(one, two)
            after = "#" in change.before.rpartition("\n")[2]
            if after and all(_BUILT.search(line) for line in change.lines()):
                return versus(*change.lines())
        case _:
            pass
    return None


CAUSE = Cause(
    name="kernel-version",
    title="the version of the running kernel is in the artefact",
    mend="do not ask uname; name the platform, not the machine",
    explains=_explains,
)
