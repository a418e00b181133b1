"""The file system of the builder: its kind, its blocks, what is free on it."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Weak, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.numbers import number_named
from gbuild.check.diagnose.phrases import before

_NAMES = (
    r"io block|f bsize|(?:st )?blocks|(?:st )?dev(?:ice)?|(?:st )?blksize|block ?size|"
    r"installed size|"
    r"disk (?:free|used|size|usage|space)|free space|available space|total|f type|f blocks|f bfree|"
    r"f bavail|f fsid|dev id|device number"
)
_LONG = 15
_LISTED = re.compile(r"\s*d[-rwxsStT]{9}\S*\s+\d+\s+\S+\s+\S+\s+(\d+)\s")
"""The size of a folder, as ls -l writes it."""
_DISK_USAGE = re.compile(r"\s*(\d+(?:\.\d+)?[KMG]?)\t(\.?\S+)\s*\Z")
"""A line of du(1)."""
_TOTAL = re.compile(r"\s*total \d+(?:\.\d)?[KMG]?\s*\Z")
_KEY = re.compile(r"\b(?:fs ?type|file ?system(?: type)?|fstype|mount type|rootfs|fs)\Z")
_KIND = re.compile(
    r"(?:\A|\s)(?:ext[234]|xfs|btrfs|tmpfs|overlay(?:fs)?|zfs|nfs4?|f2fs|aufs|ramfs|vfat|fuse(?:\.\w+)?|disorderfs|9p|virtiofs|jfs|reiserfs)(?:\s|\Z)"
)

_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_USED = re.compile(r"\s\d{1,3}%\s")
"""How full it is, as df(1) writes it."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            if (found := number_named(change, _NAMES)) and len(found[0]) < _LONG:
                own = before(change, b"0123456789") == "total" and not all(
                    map(_TOTAL.match, change.lines())
                )
                return None if own else _number(change, found)
            if _KEY.search(before(change, _WORD)) and all(
                _KIND.match(f" {word} ") for word in change.words(_WORD)
            ):
                return versus(*change.words(_WORD))
            one, two = change.lines()
            if _columns(one, two):
                return versus(one.strip(), two.strip())
            kinds = _KIND.findall(one), _KIND.findall(two)
            used = all(_USED.search(line) for line in (one, two))
            if all(kinds) and (
                used or [k.strip() for k in kinds[0]] != [k.strip() for k in kinds[1]]
            ):
                return versus(one.strip(), two.strip())
        case _:
            pass
    return None


def _number(change: Change, found: tuple[str, str]) -> str:
    sizes = "installed size" in before(change, b"0123456789")
    return Weak(versus(*found)) if sizes else versus(*found)


def _columns(one: str, two: str) -> bool:
    """Say whether a listing has another size for the same folder, or other blocks of a file."""
    if all(map(_TOTAL.match, (one, two))):
        return True
    for form in (_LISTED, _DISK_USAGE):
        here, there = form.match(one), form.match(two)
        if here and there and here[1] != there[1] and here.groups()[1:] == there.groups()[1:]:
            return True
    return False


CAUSE = Cause(
    name="file-system",
    title="the builder's file system is in the artefact, or how it counts sizes",
    mend="do not ask df, du or stat for blocks; sum up the sizes of files (du --apparent-size)",
    explains=_explains,
)
