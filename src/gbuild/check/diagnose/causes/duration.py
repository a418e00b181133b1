"""How long something took: seconds that a test suite or a build tool writes down."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.phrases import before, line_words

_DIGITS = b"0123456789.,:msh"
_NUMBER = re.compile(
    r"(?=.*\d)(?:\d+h)?(?:\d+m)?\d*(?:[.,]?\d+)?(?:m?s)?\Z|(?:\d+:)?\d+:\d\d(?:[.,]\d+)?\Z|\d+[hm]\Z"
)
_KEY = re.compile(
    r"\b(?:(?:wall |cpu |user |sys |system |real |total |build |elapsed |run |compile |test |"
    r"parse |link |render |execution |load )*(?:times?|seconds|secs|millis|duration|elapsed|took|"
    r"runtime|run time|latency)|real|user|sys|cost|spent|cpu)"
    r"(?: (?:was|is|taken|ms|s|sec|secs|seconds|in|of|total|used|elapsed|millis|milliseconds|us|"
    r"ns|value|real|wall|user|sys|cpu|about))*\Z"
)
_UNIT = re.compile(
    r"\s?(?:s|ms|us|µs|ns|m|h|min(?:ute)?s?|secs?|seconds?|milliseconds?|msecs?|hours?|user|system|elapsed)\b"
)
_GNU_TIME = re.compile(r"\d(?:user|system|elapsed)\b")
_PASSED = re.compile(r"elapsed|duration|took|real|user|sys|total|build", re.IGNORECASE)
_NINJA = re.compile(r"(\d+)\t(\d+)\t\d+\t\S+\t[0-9a-f]+\s*\Z")
"""A line of ninja's log: when it began and ended, in milliseconds."""
_LONG = 12
"""Characters of a duration at most."""
_RATE = re.compile(r"\s?(?:[kMG]i?[Bb](?:ytes|its)?/s(?:ec)?|\S{0,9}/s(?:ec(?:ond)?)?|fps|ops/s)\b")
_DONE = re.compile(
    r"\b(?:tests?|ran|run|took|times?|elapsed|total|done|finished|passed|failed|built|build|"
    r"completed?|after|compiled?|compilation|processed|generated|ok|success\w*|spent|wrote|"
    r"rendered|bundled?|linked|installed|checked|report|in|duration|PASS|failures?|examples?|passing|warm|user|real|modules)\b",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"time_?out|limit|interval|delay|sleep|\bwait|\bmax|\bmin\b|\bevery\b|\bttl\b|retry|period|"
    r"keep_?alive|grace|expire|refresh|poll|transition|animation",
    re.IGNORECASE,
)
"""Words of lines that say how long something may take."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.words(_DIGITS)
            one, two = (word.strip(".,:") for word in (one, two))
            if not (_NUMBER.match(one) and _NUMBER.match(two)) or one == two:
                return None
            line = change.lines()[0]
            if (ninja := _NINJA.match(line)) and change.places()[0] <= ninja.end(2):
                return versus(one, two)
            if _SETTING.search(line_words(change)):
                return None
            return versus(one, two) if _taken(change, one, line) else None
        case _:
            pass
    return None


def _taken(change: Change, one: str, line: str) -> bool:
    after = change.right.lstrip(_DIGITS).decode("utf-8", "replace")
    unit = one[-1:] in "smh" or bool(_UNIT.match(after))
    if _GNU_TIME.search(line):
        return True
    if (unit and _DONE.search(line)) or (_RATE.match(after) and not one[-1:].isalpha()):
        return True
    fraction = (
        "<test" in line or "." in one or "," in one or (":" in one and bool(_PASSED.search(line)))
    )
    words = before(change, _DIGITS)
    key = _KEY.search(words)
    plain = fraction or bool(re.search(r"\b(?:ms|sec\w*|millis\w*|elapsed|duration|took)\b", words))
    return bool(key) and plain and len(one) <= _LONG


CAUSE = Cause(
    name="duration",
    title="how long something took is in the artefact",
    mend="leave logs and times of tests out of what is shipped",
    explains=_explains,
)
