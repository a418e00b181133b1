"""How long something took: seconds that a test suite or a build tool writes down."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_DIGITS = b"0123456789.,ms"
_FRACTION = re.compile(r"(?:\d+m)?\d+[.,]\d+(?:m?s)?\Z")
_NAMED = re.compile(
    r"(?:\btime|elapsed|duration|took|seconds|^(?:real|user|sys))(?:\s*\(?m?s\)?)?"
    r"[\s:=\"'(]{1,8}(?:\d+m)?\Z",
    re.IGNORECASE | re.MULTILINE,
)
_DONE = re.compile(
    r"\b(?:tests?|ran|took|time|elapsed|total|done|finished|passed|built|completed|after)\b",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s?(?:s|ms|secs?|seconds?)\b")
_SETTING = re.compile(r"time_?out|limit|interval|delay|sleep|\bwait|\bmax|\bmin\b", re.IGNORECASE)
"""Words of lines that say how long something may take."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(_DIGITS)
            if not (_FRACTION.match(one) and _FRACTION.match(two)):
                return None
            before = change.left.rstrip(_DIGITS).decode("utf-8", "replace")
            after = change.right.lstrip(_DIGITS).decode("utf-8", "replace")
            if _SETTING.search(change.lines()[0]):
                return None
            done = (one.endswith("s") or _UNIT.match(after)) and _DONE.search(change.lines()[0])
            if _NAMED.search(before) or done:
                return versus(one, two)
        case _:
            pass
    return None


CAUSE = Cause(
    name="duration",
    title="how long something took is in the artefact",
    mend="leave logs and times of tests out of what is shipped",
    explains=_explains,
)
