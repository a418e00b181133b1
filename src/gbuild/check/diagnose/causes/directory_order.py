"""File names in the order in which the directory gave them (readdir, find, glob)."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Order

_LONGEST = 512
"""Characters at the end of a line that are looked at."""

_FILE = re.compile(r"[\w@+.,/ -]*(?:/[\w@+.-]+|\w\.\w{1,8})[/\"',;)>]{0,4}\s*\Z")
_COMMAND = re.compile(r"(?:\A|\s)--?[A-Za-z]|\A\s*[A-Z]{2,8}\s+\S")
"""An option, or what make(1) writes for one: such a line is a command, and no name."""
_TAG = re.compile(r"<[^<>]{1,200}>")

_PLAIN = re.compile(r"[\"']?[\w./@+-]*[A-Za-z_]\w*\.[A-Za-z]\w{0,7}[\"']?[,;]?\Z")
"""A file name among the words of one line."""

_MOST = 0.8


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="text", a=a, b=b):
            moved = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
            files = sum(
                bool(_FILE.search(_bare(x[-_LONGEST:]))) and not _COMMAND.search(x)
                for x, _ in moved
            )
            if files >= _MOST * len(moved):
                x, y = moved[0]
                return f"{len(moved)} names in another order: {versus(x.strip(), y.strip())}"
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


def _bare(line: str) -> str:
    """Return a line without its markup, if anything else is in it."""
    return _TAG.sub("", line) if _TAG.sub("", line).strip() else line


CAUSE = Cause(
    name="directory-order",
    title="files are listed in the order that the directory gives them",
    mend="sort what find, glob or readdir return: find ... | LC_ALL=C sort, sorted(glob(...))",
    explains=_explains,
)
