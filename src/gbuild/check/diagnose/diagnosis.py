"""Name the causes of what differs between two files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.causes import all_causes
from gbuild.check.diagnose.containers import LARGEST
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.walk import MOST, differences
from gbuild.model.check import Trace

_EXAMPLES = 3
"""Traces of one cause that are told; the last one says how many more there are."""

_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/._+@~-"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the two builds: side ``a`` had one value, ``b`` the other, of a cause."""

    cause: str
    a: str
    b: str


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
    found: dict[str, list[tuple[Cause, str, str]]] = {}
    text_unknown = False
    for number, difference in enumerate(differences(name, a, b), 1):
        if number == MOST:
            text_unknown = True  # what comes after it was not looked at
        named = _explained(difference, known)
        if named is not None:
            traces = found.setdefault(named[0].name, [])
            if (*named, difference.where) not in traces[-2:]:
                traces.append((*named, difference.where))
        elif not _may_follow(difference):
            text_unknown = True
    roots = {key: value for key, value in found.items() if not value[0][0].follows}
    ordered = sorted(found.values(), key=lambda each: each[0][0].follows)
    return Diagnosis(
        traces=tuple(trace for each in ordered for trace in _traces(each)) if roots else (),
        unknown=text_unknown or not roots,
    )


def _may_follow(difference: Difference) -> bool:
    """Say whether a difference without a cause may be the consequence of one that has."""
    return isinstance(difference, Change) and (difference.program or not difference.text)


def _explained(difference: Difference, known: Sequence[Known]) -> tuple[Cause, str] | None:
    if isinstance(difference, Change) and (given := _given(difference, known)):
        return given
    for cause in all_causes():
        if evidence := cause.explains(difference):
            return cause, evidence
    return None


def _given(change: Change, known: Iterable[Known]) -> tuple[Cause, str] | None:
    """Look for values that the builds are known to have had."""
    one, two = change.words(_WORD)
    causes = {cause.name: cause for cause in all_causes()}
    for fact in known:
        if fact.a in one and fact.b in two and fact.b not in one and fact.cause in causes:
            return causes[fact.cause], versus(one, two)
    return None


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
