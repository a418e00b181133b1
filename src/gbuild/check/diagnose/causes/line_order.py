"""The same lines in another order, and no sign of what gave it."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Order
from gbuild.check.diagnose.sequences import alike

_IMPORT = re.compile(
    r"\s*(?:(?:import|from|#\s*include|require|using|\w+ = require)\b|use\s+[\w:]+\s*(?:qw.*)?;)"
)
"""A line of a source that names what it needs, in the order that its author likes."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="text", a=a, b=b) if not all(map(_IMPORT.match, a)):
            first = alike(a, b)
            return f"line {first + 1} {versus(a[first].strip(), b[first].strip())}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="line-order",
    title="the same lines in another order: a hash table, or work done side by side",
    mend="sort before writing; with make -j, let each job write a file of its own",
    explains=_explains,
)
