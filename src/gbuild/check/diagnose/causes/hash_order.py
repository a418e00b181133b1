"""Words of one line in another order: a set or a hash table was written as it came."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Order


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="line", a=a, b=b) if _several_words(a, b):
            return versus("".join(a).strip(), "".join(b).strip())
        case _:
            pass
    return None


def _several_words(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Say whether names moved; a drawing or a table has the same few signs everywhere."""
    moved = {x for x, y in zip(a, b, strict=True) if x != y and x.isalnum()}
    return len(moved) > 1


CAUSE = Cause(
    name="hash-order",
    title="the entries of a set or hash table were written in its own order",
    mend="sort before writing (sorted(...), sort keys ...); PYTHONHASHSEED=0 only hides it",
    explains=_explains,
)
