"""Words of one line in another order: a set or a hash table was written as it came."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Order


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="line", a=a, b=b):
            return versus(" ".join(a), " ".join(b))
        case _:
            pass
    return None


CAUSE = Cause(
    name="hash-order",
    title="the entries of a set or hash table were written in its own order",
    mend="sort before writing (sorted(...), sort keys ...); PYTHONHASHSEED=0 only hides it",
    explains=_explains,
)
