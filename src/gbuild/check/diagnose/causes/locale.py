"""The language or character set of the builder."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Sure, Weak, versus
from gbuild.check.diagnose.dates import dated, in_two_languages, translated_date
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference
from gbuild.check.diagnose.languages import in_other_script, titles, translated, transliterated
from gbuild.check.diagnose.months import shared_language

_NAMED = re.compile(r"(?:\bLANG|\blang|\blanguage|xml:lang|hreflang|code ?page|\bcp|"
                    r"collation|collate|\bLC_[A-Z]+|\bLANGUAGE|locale|charset|codeset|encoding)"
                    r"\W{0,6}\Z", re.IGNORECASE)  # fmt: skip
_VALUE = re.compile(
    r"(?:(?:C|POSIX)(?:\.utf-?8)?|[a-z]{2,3}[_-][A-Z]{2})(?:\.[A-Za-z0-9-]+)?(?:@\w+)?\Z|"
    r"(?:utf-?8|ascii|us-ascii|"
    r"ANSI_X3\.4-1968|iso-?8859-\d+|latin-?\d|windows-?125\d|cp\d{3,4}|koi8-?[ru]|euc-?\w\w|"
    r"shift_jis|utf-?16|big5|gbk?\d*)\Z",
    re.IGNORECASE,
)
_CALL = re.compile(r"\([^()]*\bencoding=[\"'][\w-]*\Z|\b(?:de|en)code\([\"'][\w-]*\Z")
"""A call in a program: what a file is read as is no language of the builder."""
_LANGUAGE = re.compile(r"\A(?:lang|language)\W*\Z")
_CODE = re.compile(r"[a-z]{2}(?:[_-]\w+)?\Z|C\Z")
_WORD = ALPHANUMERIC + b"_.@-"

_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+\Z|\d{1,3}(?:\.\d{3}){2,}\Z")
_SWAPPED = str.maketrans(".,", ",.")
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "`": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',  # noqa: RUF001 - meant
     "—": "--", "–": "-", "…": "...", "•": "*", "→": "->",
     "©": "(C)", "®": "(R)", "\xa0": " ", "‐": "-", "−": "-"}  # noqa: RUF001 - meant
)  # fmt: skip
"""What groff, gcc and others write in a character set that has it, and what elsewhere."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change if not _CALL.search(change.before):
            one, two = change.words(_WORD)
            before = change.left.rstrip(_WORD).decode("utf-8", "replace")
            values = bool(_VALUE.match(one) and _VALUE.match(two))
            lines = change.lines()
            if found := translated_date(*lines):
                return versus(*found)
            if _same_number(change) or _grouped(*lines) or _same_signs(*lines):
                return versus(*lines)
            if transliterated(*lines) or in_other_script(*lines) or titles(*lines):
                return Weak(versus(*lines))
            if translated(*lines) or in_two_languages(*lines):
                return Sure(versus(*change.lines()))
            named = _NAMED.search(before)
            spoken = all(_CODE.match(word) for word in (one, two)) or not (
                named and _LANGUAGE.match(named[0])
            )
            emptied = named and not (one and two) and _VALUE.match(one + two)
            if one != two and (values or emptied or (named and spoken and one and two)):
                return versus(one, two) if named else Weak(versus(one, two))
        case _:
            pass
    return None


def _same_number(change: Change) -> bool:
    """Say whether both sides are one number, with a comma here and a point there."""
    one, two = change.words(b"0123456789.,")
    one, two = one.strip(".,"), two.strip(".,")
    if one == two or not any(c.isdigit() for c in one):
        return False
    if one.translate(_SWAPPED) == two:
        return True
    grouped = any(_GROUPED.match(number) for number in (one, two))
    return grouped and _plain_number(one) == _plain_number(two)


_FIGURE = re.compile(r"\d+(?:[., '’\xa0\u202f]\d+)*")
_MARKS = ((" ,'’\xa0\u202f", "."), (" .'’\xa0\u202f", ","))
"""What stands between thousands, and before decimals, here and elsewhere."""


def _grouped(one: str, two: str) -> bool:
    """Say whether two lines differ in how numbers are written only."""
    if one == two or _FIGURE.sub("0", one) != _FIGURE.sub("0", two):
        return False
    pairs = list(zip(_FIGURE.findall(one), _FIGURE.findall(two), strict=True))
    return any(
        all(x == y or _figure(x, *here) == _figure(y, *there) for x, y in pairs)
        for here in _MARKS
        for there in _MARKS
    )


def _figure(text: str, groups: str, point: str) -> str:
    """Return a number as it is written without groups; as it is where the groups are none."""
    whole, _, rest = text.partition(point)
    first, *others = re.split(f"[{groups}]", whole)
    if any(len(part) != _THOUSAND for part in others) or re.search(r"\D", rest) or len(first) > 9:
        return f"?{text}{groups}"
    return f"{first}{''.join(others)}.{rest}" if rest else first + "".join(others)


_THOUSAND = 3


def _plain_number(text: str) -> str:
    return text.replace(",", "").replace(".", "") if _GROUPED.match(text) else text


def _same_signs(one: str, two: str) -> bool:
    """Say whether two lines are one text in two character sets."""
    return one != two and one.translate(_PLAIN) == two.translate(_PLAIN)


def _adds(difference: Difference) -> str | None:
    """Know dates with months in two languages, whatever the moment."""
    match difference:
        case Change(text=True) as change if found := dated(change):
            names = found.a.name, found.b.name
            if all(names) and not shared_language(*names):
                return versus(*found.texts)
        case _:
            pass
    return None


CAUSE = Cause(
    name="locale",
    title="the language or character set of the builder is in the artefact",
    mend="export LC_ALL=C.UTF-8 in the script",
    explains=_explains,
    adds=_adds,
)
