"""The name of the machine that built."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.languages import is_calendar

_BEFORE = re.compile(
    r"(?:uname -n|host(?:name|\s+name)?|node(?:name)?|machine|"
    r"(?:built|build|compiled)(?:[ _-]on|[_-](?:at|host))|\bby [\w.-]+ on|domain|\w@)\W{0,4}\Z",
    re.IGNORECASE,
)
_UNAME = re.compile(r"\blinux \Z", re.IGNORECASE)
_RELEASE = re.compile(rb" \d+\.\d+\.\d")
"""What uname(1) writes before and after the name of the machine."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(_WORD)
            before = change.left.rstrip(_WORD).decode("utf-8", "replace")
            names = all(_NAME.match(word) and not word.isdigit() for word in (one, two))
            if not names or any(is_calendar(word) for word in (one, two)):
                return None
            if _BEFORE.search(before) or (_UNAME.search(before) and _before_release(change)):
                return versus(one, two)
        case _:
            pass
    return None


def _before_release(change: Change) -> bool:
    return all(_RELEASE.match(s.lstrip(_WORD)) for s in (change.right, change.right_b))


CAUSE = Cause(
    name="hostname",
    title="the name of the machine is in the artefact",
    mend="leave it out, or set it: HOSTNAME, KBUILD_BUILD_HOST, --host of configure",
    explains=_explains,
)
