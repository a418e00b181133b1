"""The name of the user who built."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_BEFORE = re.compile(
    r"(?<![A-Za-z])(?:user(?:name)?|logname|author|packager|owner|uid|"
    r"(?:built|build|compiled?|made|created|generated|packaged|prepared|signed)[ _-]by)\W{1,4}\Z|"
    r"\b(?:By|BY):\W{0,3}\Z|"
    r"^%%For:\W{1,3}\Z|"  # PostScript's Document Structuring Conventions
    r"^Packaged: [^;\n]*; \Z",  # the DESCRIPTION of a package of R
    re.IGNORECASE | re.MULTILINE,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z|\d{1,6}\Z")
_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(_WORD)
            if not (_NAME.match(one) and _NAME.match(two)):
                return None
            before = change.left.rstrip(_WORD).decode("utf-8", "replace")
            after = change.right.lstrip(_WORD)
            if _BEFORE.search(before) or (after.startswith(b"@") and not before.endswith("@")):
                return versus(one, two)
        case _:
            pass
    return None


CAUSE = Cause(
    name="user",
    title="the name or number of the user who built is in the artefact",
    mend="leave it out, or set it: USER, LOGNAME, KBUILD_BUILD_USER",
    explains=_explains,
)
