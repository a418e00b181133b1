"""Name the causes of what differs between two files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.check.diagnose.cause import Cause, Sure, Weak, versus
from gbuild.check.diagnose.causes import all_causes
from gbuild.check.diagnose.dates import said_to_be_built, scattered
from gbuild.check.diagnose.differences import ALPHANUMERIC, NAME, Change, Difference, Order
from gbuild.check.diagnose.member import LARGEST
from gbuild.check.diagnose.walk import MOST, differences
from gbuild.model.check import Trace

_EXAMPLES = 3
"""Traces of one cause that are told; the last one says how many more there are."""

_BINARY = -2
"""The line of what is in none."""
_MACHINE = re.compile(r"[a-z].*[-\d]")
"""A name as machines have it, and no product: with a number, or of two words."""
_VALUES = frozenset(
    ("user", "hostname", "kernel-version", "random-identifier", "build-path", "home")
)
"""Causes that bring a value of their own, which may stand elsewhere, too."""
_VERSION = re.compile(r"v?\d+(?:\.\d+)+(?:[-+~.]\w+)*\Z")
_WORD = ALPHANUMERIC + b"/._+@~-"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the two builds: side ``a`` had one value, ``b`` the other, of a cause.

    ``a`` is empty where only the other value is known. ``variation`` gave the values; it has the
    name of the cause where it is not said.
    """

    cause: str
    a: str
    b: str
    variation: str = ""

    @property
    def varied_by(self) -> str:
        """The name of the variation."""
        return self.variation or self.cause


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The causes that were seen, and whether something differs that none of them explains."""

    traces: tuple[Trace, ...]
    unknown: bool


def diagnose_files(a: Path, b: Path, *, name: str = "", known: Sequence[Known] = ()) -> Diagnosis:
    """Compare two files by their bytes.

    Files of more than :data:`LARGEST` bytes are not read: they are unknown.
    """
    if max(a.stat().st_size, b.stat().st_size) > LARGEST:
        return Diagnosis((), unknown=True)
    return diagnose(name or a.name, a.read_bytes(), b.read_bytes(), known=known)


def diagnose(name: str, a: bytes, b: bytes, *, known: Sequence[Known] = ()) -> Diagnosis:
    """Compare two files' bytes; ``name`` is what they are called."""
    seen: list[_Seen] = []
    cut = False
    for number, difference in enumerate(differences(name, a, b), 1):
        cut = number == MOST  # what comes after it was not looked at
        named = _explained(difference, known)
        seen.append(_Seen(difference, *(named or (None, ""))))
        if named:
            seen += _added(difference, *named)
    return _judged(_sure(_of_builds(_propagated(seen))), cut=cut)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A difference, and the cause that explains it if one does."""

    difference: Difference
    cause: Cause | None
    evidence: str


def _judged(seen: Sequence[_Seen], *, cut: bool) -> Diagnosis:
    found: dict[str, list[tuple[Cause, str, str]]] = {}
    unknown = cut
    for each in seen:
        if each.cause is not None:
            traces = found.setdefault(each.cause.name, [])
            trace = (each.cause, str(each.evidence), each.difference.where)
            if trace not in traces[-2:]:
                traces.append(trace)
        elif not _may_follow(each.difference):
            unknown = True
    roots = {key: value for key, value in found.items() if not value[0][0].follows}
    ordered = sorted(found.values(), key=lambda each: each[0][0].follows)
    return Diagnosis(
        traces=tuple(trace for each in ordered for trace in _traces(each)) if roots else (),
        unknown=unknown or not roots,
    )


def _propagated(seen: Sequence[_Seen]) -> list[_Seen]:
    """Explain by what is proven elsewhere: the same two values have the same cause."""
    values: dict[tuple[str, str], Cause] = {}
    perhaps: dict[tuple[str, str], Cause] = {}
    for each in seen:
        if each.cause and each.cause.name in _VALUES:
            weak = isinstance(each.evidence, Weak)
            (perhaps if weak else values).setdefault(_pair(each.difference), each.cause)
    found = []
    for each in seen:
        open_ = each.cause is None or isinstance(each.evidence, Weak)
        pair = _pair(each.difference)
        cause = values.get(pair) if open_ else None
        evidence = versus(*pair)
        if cause is None and each.cause is None and all(map(_MACHINE.search, pair)):
            cause, evidence = perhaps.get(pair), Weak(evidence)
        found.append(_Seen(each.difference, cause, evidence) if cause else each)
    return found


def _pair(difference: Difference) -> tuple[str, str]:
    """Return the words of both sides, in small letters; what is no text has none."""
    if not isinstance(difference, Change):
        return difference.where, ""
    one, two = difference.words(NAME)
    return one.casefold(), two.casefold()


def _of_builds(seen: Sequence[_Seen]) -> list[_Seen]:
    """Drop the dates of a text that no build can have had at once."""
    dates: dict[str, list[Change]] = {}
    for each in seen:
        if isinstance(each.difference, Change) and _is_date(each):
            dates.setdefault(each.difference.where, []).append(each.difference)
    tables = {where for where, changes in dates.items() if scattered(changes)}
    return [
        _Seen(each.difference, None, "")
        if isinstance(each.difference, Change)
        and each.difference.where in tables
        and _is_date(each)
        and not said_to_be_built(each.difference)
        else each
        for each in seen
    ]


def _is_date(seen: _Seen) -> bool:
    change = seen.difference
    dated_ = seen.cause is not None and seen.cause.name == "timestamp"
    return dated_ and isinstance(change, Change) and change.text


def _sure(seen: Sequence[_Seen]) -> list[_Seen]:
    """Drop weak evidence where something in its line, or another version, is unexplained."""
    lines = set()
    versions = set()
    proven = set()
    for each in seen:
        change = each.difference
        surroundings = each.cause is not None and each.cause.name in _SURROUNDINGS
        if surroundings and not isinstance(each.evidence, Weak):
            proven.add(change.where)
        if each.cause is None and isinstance(change, Change):
            lines.add((change.where, change.line if change.text else _BINARY))
            if change.text and all(map(_VERSION.match, change.words(NAME))):
                versions.add(change.where)
    return [
        _Seen(each.difference, None, "")
        if (
            isinstance(each.evidence, Weak)
            and each.difference.where not in proven
            and _unsure(each.difference, lines)
        )
        or (each.difference.where in versions - proven and _of_version(each))
        else each
        for each in seen
    ]


def _of_version(seen: _Seen) -> bool:
    """Say whether evidence may come with another version: its date, its defaults."""
    change = seen.difference
    return isinstance(seen.evidence, Weak) or (
        _is_date(seen) and isinstance(change, Change) and not _said(change)
    )


def _said(change: Change) -> bool:
    """Say whether a line tells of a build; the title of a manual page is that of a version."""
    return said_to_be_built(change) and not change.lines()[0].startswith(".TH")


def _unsure(difference: Difference, lines: set[tuple[str, int]]) -> bool:
    """Say whether something of the same text, or of the same bytes, is unexplained."""
    binary = isinstance(difference, Change) and not difference.text
    if binary:
        return (difference.where, _BINARY) in lines
    return any(where == difference.where and line != _BINARY for where, line in lines)


def _may_follow(difference: Difference) -> bool:
    """Say whether a difference without a cause may be the consequence of one that has."""
    return isinstance(difference, Change) and (difference.program or not difference.text)


def _explained(difference: Difference, known: Sequence[Known]) -> tuple[Cause, str] | None:
    if isinstance(difference, Change) and (given := _given(difference, known)):
        return given
    for cause in all_causes():
        if evidence := cause.explains(difference):
            if _set_by_hand(difference, cause, evidence):
                return None
            weak = not isinstance(evidence, Sure) and _may_be_set(difference, cause)
            return cause, Weak(evidence) if weak else evidence
    return None


_NAMES = (
    "user hostname home parallelism memory-size locale timezone environment file-system processor "
    "kernel-version random-identifier"
)
_SURROUNDINGS = frozenset((*_NAMES.split(), "build-path", "timezone", "process-id"))
"""Causes that tell where something was built: where one is proven, others are likely."""
_SETTINGS = frozenset(_NAMES.split())
"""Causes whose values somebody may as well have set by hand."""


_WRITTEN = re.compile(
    r"(?:\A|[/ ])(?:etc|systemd/(?:system|user)|udev/rules\.d|examples)/(?!.*(?:build|info|host))|"
    r"\.(?:service|timer|socket|rules|desktop)\Z"
)
"""Where files lie that persons write, unless their name says that a build did."""
_BY_HAND = _SETTINGS - {"locale", "kernel-version", "random-identifier", "processor"}


def _set_by_hand(difference: Difference, cause: Cause, evidence: str) -> bool:
    """Say whether a difference is one of settings that persons write, by where it is."""
    known = cause.name in _BY_HAND or cause.name == "file-modes"
    if isinstance(evidence, Sure) or not known or not isinstance(difference, Change):
        return False
    return bool(_WRITTEN.search(difference.where)) and not said_to_be_built(difference)


def _may_be_set(difference: Difference, cause: Cause) -> bool:
    """Say whether a difference may be one of the source, were there others beside it."""
    if isinstance(difference, Change):
        return cause.name in _SETTINGS and difference.text and not said_to_be_built(difference)
    return isinstance(difference, Order) and not difference.whole


def _added(difference: Difference, but: Cause, first: str) -> list[_Seen]:
    """Return second causes of a difference that is explained."""
    part = isinstance(first, Weak) or (isinstance(difference, Order) and not difference.whole)
    return [
        _Seen(difference, cause, Weak(evidence) if part else evidence)
        for cause in all_causes()
        if cause.adds and cause is not but and (evidence := cause.adds(difference))
    ]


def _given(change: Change, known: Sequence[Known]) -> tuple[Cause, str] | None:
    """Look for values that the builds are known to have had."""
    if not known:
        return None
    one, two = change.words(_WORD)
    causes = {cause.name: cause for cause in all_causes()}
    for fact in known:
        if fact.cause not in causes:
            continue
        if _holds(one, fact.a) and _holds(two, fact.b) and not _holds(one, fact.b):
            return causes[fact.cause], versus(one, two)
    return None


def _holds(word: str, value: str) -> bool:
    """Say whether a value is in a word; as a whole, where it is a number."""
    return word == value if value.isdigit() else value in word


def _traces(found: Sequence[tuple[Cause, str, str]]) -> list[Trace]:
    traces = [
        Trace(cause=cause.name, where=where, evidence=evidence, mend=cause.mend)
        for cause, evidence, where in found[:_EXAMPLES]
    ]
    more = len(found) - _EXAMPLES
    if more > 0:
        last = traces[-1]
        text = f"{last.evidence} (and {more} more)"
        traces[-1] = Trace(cause=last.cause, where=last.where, evidence=text, mend=last.mend)
    return traces
