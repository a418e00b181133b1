"""The number of a process, or of a file on its file system."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference, Field
from gbuild.check.diagnose.numbers import number_named
from gbuild.check.diagnose.paths import numbered, paths

_NAMES = r"p?pid|process(?:[ _]?id)?|inode|st_ino"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change() as change if found := number_named(change, _NAMES):
            return versus(*found)
        case Change(text=True) as change if (at := paths(change)) and (found := numbered(*at)):
            return versus(*found)
        case Field(kind="cpio", name="inode", a=a, b=b):
            return f"inode {versus(a, b)}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="process-id",
    title="the number of a process or of an inode is in the artefact",
    mend="do not use $$, getpid() or inode numbers for names that stay",
    explains=_explains,
)
