"""A digest of something that differs itself."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_HEX = re.compile(
    "|".join(rf"[0-9a-f]{{{length}}}\Z" for length in (32, 40, 56, 64, 96, 128)), re.IGNORECASE
)

_NAMED = re.compile(r"sha(?:1|256|384|512)[-:=][0-9A-Za-z+/]{27,}={0,2}\Z")
"""As Subresource Integrity and go.sum write them."""
_BASE64 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/=-:"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(b"0123456789abcdefABCDEF")
            if len(one) == len(two) and _HEX.match(one) and _HEX.match(two):
                return versus(one, two)
            one, two = change.words(_BASE64)
            if len(one) == len(two) and _NAMED.match(one) and _NAMED.match(two):
                return versus(one, two)
        case _:
            pass
    return None


CAUSE = Cause(
    name="digest",
    title="a digest follows what it was made from",
    mend="mend what differs beside it",
    explains=_explains,
    follows=True,
)
