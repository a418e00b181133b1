"""The number of a process."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference, Field
from gbuild.check.diagnose.numbers import number_named
from gbuild.check.diagnose.paths import numbered, paths

_NAMES = r"p?pid|process(?: id)?|job id|session id|getpid|thread id|tid|pgid"
_FILE = re.compile(r"(?:\A|[\s\"'=(/])[\w./-]*?[A-Za-z][._-]?(\d{2,7})(?:[._-]\w+)?\Z")
_PASSING = re.compile(
    r"tmp|temp|\bconf\d|conftest|\.lock|\.pid|\bpid|scratch|work|\.sock|\.o\b|core\."
)
"""What is in the names of files that do not stay."""
_PATH = ALPHANUMERIC + b"._-/"

_DIGITS = b"0123456789"
_NUMBER = re.compile(r"\d{3,7}\Z")
_MESSAGES = (
    (re.compile(rb"\A(?:.*[\s>])?[A-Za-z][\w.-]*\[\Z"), re.compile(rb"\]: ")),
    (re.compile(rb"(?:\A|\n)\[\Z"), re.compile(rb"\] [A-Za-z]")),
    (re.compile(rb"(?:\A|\n)==\Z"), re.compile(rb"== ")),
)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change() as change if found := number_named(change, _NAMES):
            return versus(*found)
        case Change(text=True) as change if (at := paths(change)) and (found := numbered(*at)):
            return versus(*found)
        case Change(text=True) as change if found := (_beside_messages(change) or _passing(change)):
            return versus(*found)
        case Field(kind="tar", name="header name", a=a, b=b):
            return versus(a, b)
        case _:
            pass
    return None


def _beside_messages(change: Change) -> tuple[str, str] | None:
    """Know the numbers of ``name[123]:`` and ``==123==``, as daemons and valgrind write them."""
    one, two = change.words(_DIGITS)
    before, after = change.left.rstrip(_DIGITS), change.right.lstrip(_DIGITS)
    known = any(b.search(before) and a.match(after) for b, a in _MESSAGES)
    return (one, two) if known and _NUMBER.match(one) and _NUMBER.match(two) else None


def _passing(change: Change) -> tuple[str, str] | None:
    """Know the number in the name of a file that does not stay: foo.1234.tmp."""
    one, two = change.words(_PATH)
    here, there = _FILE.match(one), _FILE.match(two)
    if here is None or there is None or not _PASSING.search(one):
        return None
    rest = (one.replace(here[1], "#"), two.replace(there[1], "#"))
    return (here[1], there[1]) if rest[0] == rest[1] and here[1] != there[1] else None


_RUBY = re.compile(r"(\d{8})-(\d{1,7})-[0-9a-z]{4,8}(?![0-9a-z])")


def _adds(difference: Difference) -> str | None:
    """Know the number in the name of a temporary file by Ruby, which has a drawn part, too."""
    match difference:
        case Change(text=True) as change:
            here, there = (_RUBY.search(word) for word in change.words(_PATH))
            if here and there and here[2] != there[2]:
                return versus(here[2], there[2])
        case _:
            pass
    return None


CAUSE = Cause(
    name="process-id",
    title="the number of a process is in the artefact",
    mend="do not use $$ or getpid() for names that stay",
    explains=_explains,
    adds=_adds,
)
