"""Which of two releases is older, as far as their names tell, and which packages are one line."""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"(?<![0-9A-Za-z])v?(?P<numbers>[0-9]{1,18}(?:[._-][0-9]{1,18})*)(?![0-9])"
    r"(?:[._~-]?(?P<stage>dev|alpha|a|beta|b|pre|test|rc)(?![a-z])[._-]?(?P<number>[0-9]{0,9}))?",
    re.IGNORECASE | re.ASCII,
)
_HASH = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_STAGES = ("dev", "alpha", "beta", "pre", "test", "rc")
_SHORT = {"a": "alpha", "b": "beta"}

Order = tuple[tuple[int, ...], int, int]


def order(release: str) -> Order | None:
    """Return what releases are compared by: numbers, stage (``rc`` before none), its number.

    None when the name holds no version: a commit's hash, a word.
    """
    match = None if _HASH.fullmatch(release) and not release.isdecimal() else _found(release)
    if match is None:
        return None
    numbers = [int(each) for each in re.split(r"[._-]", match["numbers"])]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    stage = (match["stage"] or "").lower()
    stage = _SHORT.get(stage, stage)
    rank = _STAGES.index(stage) if stage else len(_STAGES)
    return tuple(numbers), rank, int(match["number"] or 0)


def _found(release: str) -> re.Match[str] | None:
    """Return the first version with several numbers, else the first number."""
    matches = list(_VERSION.finditer(release))
    several = (match for match in matches if not match["numbers"].isdecimal())
    return next(several, matches[0] if matches else None)


def is_older(release: str, than: str) -> bool | None:
    """Say whether a release is older than another one; None when their names do not tell."""
    one, other = order(release), order(than)
    if release == than:
        return False
    return None if one is None or other is None else one < other


def line(package: str) -> str:
    """Return a package's name without its version: ``monero-linux-0.18`` is ``monero-linux``."""
    return _VERSION.sub("", package).strip("-_.") or package
