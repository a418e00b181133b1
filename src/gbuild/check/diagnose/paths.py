"""Absolute paths around a change. Pure."""

from __future__ import annotations

import re

from gbuild.check.diagnose.differences import ALPHANUMERIC, Change

PATH = ALPHANUMERIC + b"/._+@~-,%\\:"
_WINDOWS = re.compile(r"(?<![A-Za-z])[A-Za-z]:[\\/]")
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z+.-]*:)?/{2,}")
"""What begins the address of something elsewhere: of the scheme and the host."""


def paths(change: Change) -> tuple[str, str] | None:
    """Return the two absolute paths that a change is part of, or None."""
    found = []
    for word, at in zip(change.words(PATH), _places(change), strict=True):
        found.append(_path(word, at))
    one, two = found
    return (one, two) if one and two and one != two else None


def _places(change: Change) -> tuple[int, int]:
    """Return where the change starts in its words, in bytes."""
    lefts = (change.left, change.left_b)
    one, two = (len(left) - len(left.rstrip(PATH)) for left in lefts)
    return one, two


def _path(word: str, at: int) -> str:
    """Cut off what stands before the path that holds place ``at``; at least two parts."""
    start = 0
    for match in re.finditer(r"[:,]", word):
        if match.start() < at and word[match.end() : match.end() + 1] == "/":
            start = match.end()
    stop = next((m.start() for m in re.finditer(r"[:,]/?", word) if m.start() >= max(at, 1)
                 and m.start() > start + 1), len(word))  # fmt: skip
    if windows := _WINDOWS.search(word):
        return re.sub(r"[\\/]+", "/", "/" + word[windows.end() :]).partition(":")[0]
    if _foreign(word, start):
        return ""
    piece = word[start:stop]
    head, slash, rest = piece.partition("/")
    if start == 0 and _RELATIVE.match(head):
        return ""
    path = "/" + rest if slash else ""
    path = re.sub(r"/{2,}", "/", path)
    return path if len([part for part in path.split("/") if part]) > 1 or path == "/root" else ""


def _foreign(word: str, start: int) -> bool:
    """Say whether a word is the address of something that is not in a file of the builder."""
    head = word[:start]
    if word[start : start + 3] == "///":
        return False
    return word[start : start + 2] == "//" and not head.endswith(("file:",))


_RELATIVE = re.compile(r"[A-Za-z0-9_]{3,}\Z")
"""A folder below another one: an absolute path has nothing before it, or an option, an escape."""
_TEMPORARY = re.compile(
    r"/(?:(?:var/)?tmp|(?:var/)?run(?:/lock)?|var/lock|(?:private/)?var/folders)/"
)
_DRAWN = re.compile(r"(?=[0-9a-z]*\d)(?=[0-9a-z]*[a-z])[0-9a-z]{6,16}\Z")
_NUMBERED = re.compile(r"(\D*)(\d{3,7})(\D*)\Z")


def numbered(one: str, two: str) -> tuple[str, str] | None:
    """Return the numbers in which two temporary files' names differ, as those of $$ do."""
    for x, y in _temporary_parts(one, two):
        here, there = _NUMBERED.match(x), _NUMBERED.match(y)
        if here and there and here.group(1, 3) == there.group(1, 3):
            return here[2], there[2]
    return None


def drawn(one: str, two: str) -> tuple[str, str] | None:
    """Return the ends in which two temporary folders' names differ, as those of mkdtemp do."""
    for x, y in _temporary_parts(one, two):
        if _middles_drawn(x, y) or _core_drawn(x, y):
            return x, y
        for length in (8, 6, 10):  # of Python, of mktemp(1) and mkdtemp(3), of perl
            if x[:-length] != y[:-length] or not x[:-length].endswith((".", "-", "_")):
                continue
            if all(_looks_drawn(part[-length:]) for part in (x, y)):
                return x, y
    return None


def _core_drawn(one: str, two: str) -> bool:
    """Compare the ends of two names of temporary files, before what comes after a point."""
    stem, other = one.partition(".")[0], two.partition(".")[0]
    for length in (6, 8, 10):
        same = (
            len(stem) == len(other) > length
            and stem[:-length] == other[:-length]
            and one[len(stem) :] == two[len(other) :]
        )
        if same and all(_looks_drawn(s[-length:]) for s in (stem, other)):
            return True
    return False


def _middles_drawn(one: str, two: str) -> bool:
    """Compare words between separators: one of each that differs, of one length, drawn."""
    words, others = (re.split(r"[._-]", name) for name in (one, two))
    differ = [p for p in zip(words, others, strict=False) if p[0] != p[1]]
    if len(words) != len(others) or len(differ) != 1:
        return False
    return len(differ[0][0]) == len(differ[0][1]) and all(map(_DRAWN.match, differ[0]))


def _temporary_parts(one: str, two: str) -> list[tuple[str, str]]:
    if not (_TEMPORARY.match(one) and _TEMPORARY.match(two)):
        return []
    return [p for p in zip(one.split("/"), two.split("/"), strict=False) if p[0] != p[1]][:1]


def _looks_drawn(word: str) -> bool:
    """Letters and digits (or both cases) mixed; a number alone is a process's."""
    kinds = (str.isdigit, str.islower, str.isupper, "_".__eq__)
    known = all(c.isalnum() or c == "_" for c in word)
    return known and not word.isdigit() and sum(any(map(kind, word)) for kind in kinds) > 1


def common_end(one: str, two: str) -> int:
    """Count the parts that two paths have in common at their ends."""
    count = 0
    for x, y in zip(reversed(one.split("/")), reversed(two.split("/")), strict=False):
        if x != y or not x:
            break
        count += 1
    return count
