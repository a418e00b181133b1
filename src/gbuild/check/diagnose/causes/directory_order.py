"""File names in the order in which the directory gave them (readdir, find, glob)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Order

_LONGEST = 512
"""Characters at the end of a line that are looked at."""

_FILE = re.compile(r"[\w@+.,/ -]*(?:/[\w@+.-]+|\w\.\w{1,8})[/\"',;)>]{0,4}\s*\Z")
_COMMAND = re.compile(r"(?:\A|\s)--?[A-Za-z]|\A\s*[A-Z]{2,8}\s+\S")
"""An option, or what make(1) writes for one: such a line is a command, and no name."""
_MEDIA = re.compile(
    r"\b(?:application|audio|image|text|video|font|message|model|chemical)/[\w.+-]+\W*\Z"
)
"""What a file is, and not where."""
_TYPED = re.compile(r"\.\w{2,4}\W*\Z")
_MANGLED = re.compile(r"\b\w+_(?:svg|png|jpg|gif|xml|html|css|js|txt|ui|qml|json|glsl|wav|ttf)\b")
"""A name of a file as a name of C."""
_LOOKED_AT = 2_000
"""Lines in another order that are looked at."""
_WORD = re.compile(r"[A-Za-z]{3}")
_TAG = re.compile(r"<[^<>]{1,200}>")

_PLAIN = re.compile(r"[\"']?[\w./@+-]*[A-Za-z_]\w*\.[A-Za-z]\w{0,7}[\"']?[,;]?\Z")
"""A file name among the words of one line."""

_MOST = 0.8


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="text", a=a, b=b):
            moved = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
            count = len(moved)
            moved = [p for p in moved[:_LOOKED_AT] if _WORD.search(p[0][:_LONGEST])] or moved[:1]
            files = sum(_names_file(x) for x, _ in moved)
            if files >= _MOST * len(moved) or _by_file(a):
                x, y = moved[0]
                return f"{count} names in another order: {versus(x.strip(), y.strip())}"
        case Order(kind="program", a=a, b=b):
            first = next((x, y) for x, y in zip(a, b, strict=True) if x != y)
            return f"objects linked in another order: {versus(*first)}"
        case Order(kind="line", a=a, b=b):
            names = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
            if len(names) > 1 and all(_PLAIN.match(x) and _PLAIN.match(y) for x, y in names):
                return f"{len(names)} names in another order: {versus(*names[0])}"
        case _:
            pass
    return None


_REFERENCE = re.compile(r"\s*(?:#:|//|/\*|;;|--|#)\s*(?:\S+ )?[\w./-]+\.\w{1,4}(?::\d+)?\W*\Z")
"""A comment that tells from which file the lines below it come."""


def _by_file(lines: Sequence[str]) -> bool:
    """Say whether every paragraph of some lines tells from which file it comes."""
    parts = [list(part) for blank, part in groupby(lines[:_LOOKED_AT], lambda x: not x.strip())
             if not blank]  # fmt: skip
    if len(parts) > 1:
        return all(any(map(_REFERENCE.match, part)) for part in parts[:-1])
    heads = [line for line in lines if not line[:1].isspace()]
    return 1 < len(heads) < len(lines) and all(_names_file(head.rstrip(":\n ")) for head in heads)


def _names_file(line: str) -> bool:
    bare = _bare(line[-_LONGEST:])
    other = _COMMAND.search(line) or (_MEDIA.search(bare) and not _TYPED.search(bare))
    return bool(_FILE.search(bare) or _MANGLED.search(bare)) and not other


def _bare(line: str) -> str:
    """Return a line without its markup, if anything else is in it."""
    return _TAG.sub("", line) if _TAG.sub("", line).strip() else line


CAUSE = Cause(
    name="directory-order",
    title="files are listed in the order that the directory gives them",
    mend="sort what find, glob or readdir return: find ... | LC_ALL=C sort, sorted(glob(...))",
    explains=_explains,
)
