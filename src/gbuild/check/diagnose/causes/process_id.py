"""The number of a process, or of a file on its file system."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference, Field
from gbuild.check.diagnose.numbers import number_named
from gbuild.check.diagnose.paths import numbered, paths

_NAMES = r"p?pid|process(?:[ _]?id)?|inode|st_ino"

_DIGITS = b"0123456789"
_NUMBER = re.compile(r"\d{2,7}\Z")
_MESSAGES = (
    (re.compile(rb"\A(?:.*[\s>])?[A-Za-z][\w.-]*\[\Z"), re.compile(rb"\]: ")),
    (re.compile(rb"(?:\A|\n)==\Z"), re.compile(rb"== ")),
)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change() as change if found := number_named(change, _NAMES):
            return versus(*found)
        case Change(text=True) as change if (at := paths(change)) and (found := numbered(*at)):
            return versus(*found)
        case Change(text=True) as change if found := _beside_messages(change):
            return versus(*found)
        case Field(kind="tar", name="header name", a=a, b=b):
            return versus(a, b)
        case Field(kind="cpio", name="inode", a=a, b=b):
            return f"inode {versus(a, b)}"
        case _:
            pass
    return None


def _beside_messages(change: Change) -> tuple[str, str] | None:
    """Know the numbers of ``name[123]:`` and ``==123==``, as daemons and valgrind write them."""
    one, two = change.words(_DIGITS)
    before, after = change.left.rstrip(_DIGITS), change.right.lstrip(_DIGITS)
    known = any(b.search(before) and a.match(after) for b, a in _MESSAGES)
    return (one, two) if known and _NUMBER.match(one) and _NUMBER.match(two) else None


CAUSE = Cause(
    name="process-id",
    title="the number of a process or of an inode is in the artefact",
    mend="do not use $$, getpid() or inode numbers for names that stay",
    explains=_explains,
)
