"""Python bytecode: the date of the source in the header, and which objects were shared."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, Weak, versus
from gbuild.check.diagnose.differences import Change, Difference, Field

_SHARED = 0x80
"""FLAG_REF of Python's marshal format."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="pyc", name="mtime", a=a, b=b):
            return f"mtime of the source {versus(a, b)}"
        case Change(where=where, a=a, b=b, text=False) if where.endswith((".pyc", ".pyo")):
            pairs = list(zip(a, b, strict=False))
            if len(a) == len(b) and all(x ^ y in (0, _SHARED) for x, y in pairs):
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
