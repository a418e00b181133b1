"""A digest of something that differs itself."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, NAME, Change, Difference, Field
from gbuild.check.diagnose.names import in_name
from gbuild.check.diagnose.phrases import before

_HEX = re.compile(
    "|".join(rf"[0-9a-f]{{{length}}}\Z" for length in (32, 40, 56, 64, 96, 128)), re.IGNORECASE
)

_NAMED = re.compile(r"sha(?:1|256|384|512)[-:=][0-9A-Za-z+/]{27,}={0,2}\Z")
"""As Subresource Integrity and go.sum write them."""
_BASE64 = ALPHANUMERIC + b"+/=-:"


_OCTETS = re.compile(r"\s*(?:[0-9a-f]{2}:){7,}(?:[0-9a-f]{2})?\s*\Z")
"""A line of a key or a signature, as openssl writes it."""
_SUM = re.compile(
    r"\b(?:crc(?:32)?|checksum|adler(?:32)?|etag|digest|cksum|sum|hash|integrity)(?: \w+)?\Z"
)


def _checksum(change: Change) -> bool:
    one, two = change.words(b"0123456789abcdefABCDEFx")
    named = _SUM.search(before(change, b"0123456789abcdefABCDEFx"))
    return bool(named) and all(len(word) >= 8 for word in (one, two)) and one != two


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="pyc", name="source hash", a=a, b=b):
            return versus(a, b)
        case Change(text=True) as change:
            one, two = change.words(b"0123456789abcdefABCDEF")
            if len(one) == len(two) and _HEX.match(one) and _HEX.match(two):
                return versus(one, two)
            if all(map(_OCTETS.match, change.lines())):
                return versus(*change.lines())
            if in_name(*change.words(NAME)) or _checksum(change):
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
