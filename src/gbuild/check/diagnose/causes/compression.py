"""The same content, packed in another way: level, threads or version of the packer."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Difference, Field


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="gzip" | "zip", name="level" | "method" | "packed size" as name, a=a, b=b):
            return f"{name} {versus(a, b)}"
        case Field(
            kind="gzip" | "bzip2" | "xz" | "zstd" | "zip" | "png" | "pdf" as kind, name="packing"
        ):
            return f"the {kind} data differ, what they unpack to does not"
        case _:
            pass
    return None


CAUSE = Cause(
    name="compression",
    title="the same content was compressed in another way",
    mend="give level and threads (xz -6 -T1, gzip -9n) and lock the packer's version",
    explains=_explains,
)
