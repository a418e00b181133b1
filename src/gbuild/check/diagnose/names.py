"""Names of files that hold a digest of what is in them. Pure."""

from __future__ import annotations

import re

_CACHED = re.compile(
    r"(.*[\w-][.-])([0-9a-f]{6,32}|[0-9A-Za-z_-]{8})(\.[a-z]\w{0,4}(?:\.\w{1,4})?)\Z"
)
"""A name with the digest of what the file holds, as bundlers of web pages write it."""


def in_name(one: str, two: str) -> bool:
    """Say whether two names differ in the digest of what the files hold, and in no more."""
    here, there = _CACHED.match(one), _CACHED.match(two)
    if here is None or there is None or here.group(1, 3) != there.group(1, 3):
        return False
    mixed = all(any(c.isdigit() for c in m[2]) and not m[2].isdigit() for m in (here, there))
    return mixed and len(here[2]) == len(there[2])
