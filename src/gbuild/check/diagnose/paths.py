"""Absolute paths around a change. Pure."""

from __future__ import annotations

from gbuild.check.diagnose.differences import Change

_CHARACTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/._+@~-,%"


def paths(change: Change) -> tuple[str, str] | None:
    """Return the two absolute paths that a change is part of, or None."""
    one, two = (_path(word) for word in change.words(_CHARACTERS))
    return (one, two) if one and two and one != two else None


def _path(word: str) -> str:
    """Cut off what stands before the path (``-I/usr``, ``@/home``); at least two parts."""
    path = "/" + word.partition("/")[2] if "/" in word else ""
    return path if len([part for part in path.split("/") if part]) > 1 else ""


def common_end(one: str, two: str) -> int:
    """Count the parts that two paths have in common at their ends."""
    count = 0
    for x, y in zip(reversed(one.split("/")), reversed(two.split("/")), strict=False):
        if x != y or not x:
            break
        count += 1
    return count
