"""The file system of the builder: its kind, its blocks and inodes, what is free on it."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Sure, Weak, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference, Field
from gbuild.check.diagnose.numbers import number_named
from gbuild.check.diagnose.phrases import before

_NAMES = (
    r"(?:st )?ino(?:de)?s?|"
    r"io block|f bsize|(?:st )?blocks|(?:st )?dev(?:ice)?|(?:st )?blksize|block ?size|"
    r"installed size|"
    r"disk (?:free|used|size|usage|space)|free space|available space|total|f type|f blocks|f bfree|"
    r"f bavail|f fsid|dev id|device number"
)
_LONG = 15
_INODES = re.compile(r"\s*(\d{3,10})\s+(?:[-dl][-rwxsStT]{9}\S*\s|\S+\s*\Z)")
"""A line of ls -i."""
_LISTED = re.compile(r"\s*d[-rwxsStT]{9}\S*\s+\d+\s+\S+\s+\S+\s+(\d+)\s")
"""The size of a folder, as ls -l writes it."""
_DISK_USAGE = re.compile(r"\s*(\d+(?:\.\d+)?[KMG]?)\t(\.?\S+)\s*\Z")
"""A line of du(1)."""
_TOTAL = re.compile(r"\s*total \d+(?:\.\d)?[KMG]?\s*\Z")
_KEY = re.compile(r"\b(?:fs ?type|file ?system(?: type)?|fstype|mount type|rootfs|fs)(?: value)?\Z")
_KIND = re.compile(
    r"(?:\A|\s)(?:ext[234]|xfs|btrfs|tmpfs|overlay(?:fs)?|zfs|nfs4?|f2fs|aufs|"
    r"ramfs|vfat|fuse(?:\.\w+)?|disorderfs|9p|virtiofs|jfs|reiserfs)(?:\s|\Z)"
)

_WORD = ALPHANUMERIC + b"_-"
_DF = re.compile(r"(?:\S+\s+){1,2}\d+\s+\d+\s+\d+\s+\d{1,3}%\s+(/\S*)\s*\Z")
_PLACE = re.compile(r"(?:\A|\s)/")
_USED = re.compile(r"\s\d{1,3}%\s")
"""How full it is, as df(1) writes it."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="cpio" | "rpm" | "git", name="inode", a=a, b=b):
            return f"inode {versus(a, b)}"
        case Change(text=True) as change:
            return _in_text(change)
        case _:
            pass
    return None


def _in_text(change: Change) -> str | None:
    words = before(change, b"0123456789")
    if (found := number_named(change, _NAMES)) and len(found[0]) < _LONG:
        blocks = words != "total" or all(map(_TOTAL.match, change.lines()))
        return _number(words, found) if blocks else None
    kinds = change.words(_WORD)
    if _KEY.search(before(change, _WORD)) and all(_KIND.match(f" {kind} ") for kind in kinds):
        return versus(*kinds)
    one, two = change.lines()
    if _inodes(change) or _columns(one, two) or _mounts(one, two):
        return versus(one.strip(), two.strip())
    return None


def _mounts(one: str, two: str) -> bool:
    """Say whether two lines of df(1) or mount(8) tell of two file systems."""
    here, there = _DF.match(one), _DF.match(two)
    if here and there and here[1] == there[1]:
        return True
    kinds = [[kind.strip() for kind in _KIND.findall(line)] for line in (one, two)]
    used = all(_USED.search(line) for line in (one, two))
    placed = all(_PLACE.search(line) for line in (one, two))
    return all(kinds) and placed and "defaults" not in one and (used or kinds[0] != kinds[1])


def _number(words: str, found: tuple[str, str]) -> str:
    return Weak(versus(*found)) if "installed size" in words else Sure(versus(*found))


def _inodes(change: Change) -> bool:
    """Know the first column of ls -i: another number, the same name behind it."""
    one, two = (line.strip() for line in change.lines())
    here, there = _INODES.match(one), _INODES.match(two)
    if here is None or there is None or here[1] == there[1]:
        return False
    name = one[len(here[1]) :]
    wordy = bool(re.search(r"[A-Za-z]", name)) and len(name.strip()) > 1
    return wordy and name == two[len(there[1]) :]


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
    mend="do not ask df, du or stat for blocks and inodes; sum up the sizes of files "
    "(du --apparent-size)",
    explains=_explains,
)
