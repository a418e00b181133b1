"""Names sorted by the rules of a language on one side, by their bytes on the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from gbuild.check.diagnose.cause import Cause
from gbuild.check.diagnose.differences import Difference, Order

_FIELD = re.compile(r"[^\s,;:=|\"'<>]+")


def _letters(name: str) -> str:
    """Sort as most languages do: case, accents and punctuation matter last."""
    plain = unicodedata.normalize("NFD", name.casefold())
    return "".join(c for c in plain if c.isalnum())


def _keys(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield what entries may be sorted by: all of each, its last word, its first."""
    plain = [name.strip() for name in names]
    yield plain
    words = [_FIELD.findall(name) or [""] for name in plain]
    for place in (-1, 0):
        yield [each[place] for each in words]


def _sorted(names: Sequence[str]) -> set[str]:
    """Return the rules that some names are sorted by."""
    rules: dict[str, Callable[[str], str]] = {
        "bytes": str,  # by code points, which is the order of UTF-8, too
        "language": _letters,
        "case": str.casefold,
        "estonian": lambda name: _letters(name).replace("z", "s\x7f"),
    }
    return {rule for rule, key in rules.items() if list(names) == sorted(names, key=key)}


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(a=a, b=b):
            for one, two in zip(_keys(a), _keys(b), strict=True):
                here, there = _sorted(one), _sorted(two)
                if len(set(one)) == len(one) and here and there and not here & there:
                    return f"{len(a)} entries: by {min(here)} / by {min(there)}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="locale-order",
    title="sorted by the rules of the builder's language",
    mend="LC_ALL=C sort; in the script: export LC_ALL=C.UTF-8",
    explains=_explains,
)
