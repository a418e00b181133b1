"""Members of an archive in the order in which the directory gave them."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Order
from gbuild.check.diagnose.sequences import alike


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(kind="tar" | "zip" | "ar" | "cpio" as kind, a=a, b=b):
            first = alike(a, b)
            return f"{kind} member {first + 1} {versus(a[first], b[first])}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="archive-order",
    title="an archive holds its members in the order that the directory gave",
    mend="tar --sort=name; for zip and ar give the names sorted (LC_ALL=C sort)",
    explains=_explains,
)
