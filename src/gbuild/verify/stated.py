"""Which release a list of sums is of: it has no line that says so, only the files' names do."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(
    r"(?<![0-9.])[0-9]+(?:\.[0-9]+)+(?:-?(?:rc|alpha|beta|test)\.?[0-9]+)?", re.IGNORECASE
)


def wrong_release(release: str, paths: Iterable[str]) -> str | None:
    """Say that files are of another release than the folder, or return None when nobody can tell.

    They are when the folder's name holds a version, every file's name holds one, and no file's
    is the folder's. (``1.2rc1`` is not ``1.2``.)
    """
    own = versions(release)
    found = [versions(path) for path in paths]
    if not own or not found or not all(found):
        return None
    if any(own & each for each in found):
        return None
    shown = ", ".join(sorted(set().union(*found))[:3])
    return f"the files are of {shown}, not of {release}"


def versions(text: str) -> frozenset[str]:
    """Return everything in a name that looks like a version, in one spelling."""
    return frozenset(match[0].lower().replace("-", "") for match in _VERSION.finditer(text))
