"""Python bytecode: the date of the source in the header, and which objects were shared."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, Weak, versus
from gbuild.check.diagnose.differences import Change, Difference, Field

_SHARED = 0x80
"""FLAG_REF of Python's marshal format."""


_REFERENCE = (ord("r"), ord("r") | _SHARED)
"""TYPE_REF, which a number of four bytes follows."""


def _shared(change: Change) -> bool:
    """Say whether bytes differ in the mark of shared objects, and in numbers of such only."""
    one, two = change.left + change.a, change.left_b + change.b
    at = len(change.left)
    return all(
        one[n] ^ two[n] in (0, _SHARED)
        or any(one[m] in _REFERENCE and two[m] in _REFERENCE for m in range(max(0, n - 4), n))
        for n in range(at, len(one))
    )


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="pyc", name="mtime", a=a, b=b):
            return f"mtime of the source {versus(a, b)}"
        case Change(where=where, a=a, b=b, text=False) if where.endswith((".pyc", ".pyo")):
            if len(a) == len(b) and _shared(difference):
                return Weak("the same objects, marked as shared on one side")
        case _:
            pass
    return None


CAUSE = Cause(
    name="python-bytecode",
    title="bytecode holds the date of its source",
    mend="PYTHONDONTWRITEBYTECODE=1, or py_compile --invalidation-mode unchecked-hash; "
    "with SOURCE_DATE_EPOCH set, Python does so itself",
    explains=_explains,
)
