"""What a check found, as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gbuild.model.check import (
    NOT_ASKED,
    CheckedArtifact,
    CheckResult,
    Reproducible,
    Tried,
    TriedAxis,
)
from gbuild.ui.table import plain


def summary(result: CheckResult) -> str:
    """Say in one line what the check found."""
    count = len(result.artifacts)
    noun = "artefact" if count == 1 else "artefacts"
    broken = [a for a in result.artifacts if a.verdict is not Reproducible.YES]
    if not broken and (axis := next((a for a in result.axes if a.failing), None)):
        return f"{result.name}: not reproducible with {axis.words}"
    if not broken:
        return f"{result.name}: reproducible, {count} {noun} with {_varied(result)} varied"
    waived = len(broken) - len(result.failing)
    rest = f", {waived} waived" if waived else ""
    return f"{result.name}: not reproducible, {len(broken)} of {count} {noun} differ{rest}"


def _varied(result: CheckResult) -> str:
    count = sum(not tried.missing for tried in result.variations)
    return "one thing" if count == 1 else f"{count} things"


def lines(result: CheckResult) -> Iterator[str]:
    """Yield the whole answer, a line each, not escaped."""
    yield summary(result)
    for artifact in result.artifacts:
        yield from _artifact(artifact)
    for build in result.builds:
        if build.failure:
            yield f"build {build.number} failed and counts as changed: {build.failure}"
    if missing := ", ".join(not_varied(result)):
        yield f"not varied: {missing}"
    yield from (f"{axis.words}: {outcome(axis)}" for axis in result.axes if axis.state != "not run")
    rest = [f"{axis.name}" for axis in result.axes if axis.state == "not run"]
    if rest:
        yield f"not run: {', '.join(rest)} (--also, see gcheck --list)"
    yield f"{len(result.builds)} builds in {result.seconds:.0f} s"


def not_varied(result: CheckResult) -> Iterator[str]:
    """Yield what was not varied, and why; what nobody asked for is counted only."""
    left_out = sum(tried.missing == NOT_ASKED for tried in result.variations)
    for tried in result.variations:
        if tried.missing not in ("", NOT_ASKED):
            yield f"{tried.name} ({tried.missing})"
    if left_out:
        yield f"{left_out} {NOT_ASKED}"


def _artifact(artifact: CheckedArtifact) -> Iterator[str]:
    yield f"  {artifact.verdict.value:<12}  {artifact.path}"
    if artifact.verdict is Reproducible.UNSTABLE:
        times = "build" if artifact.repeats == 1 else "builds"
        yield f"    {artifact.differed} of {artifact.repeats} unvaried {times} differed"
    if artifact.causes:
        yield f"    {because(artifact)}"
    for trace in artifact.traces:
        yield f"    {trace.cause} in {trace.where}: {trace.evidence}"
    for mend in dict.fromkeys(f"{t.cause}: {t.mend}" for t in artifact.traces):
        yield f"      mend {mend}"
    if artifact.unknown and artifact.verdict is not Reproducible.YES:
        yield "    some of what differs has no cause that is known; see  gdiff"
    if artifact.waiver:
        waiver = artifact.waiver
        yield f"    waived until {waiver.expires} by {waiver.owner}: {waiver.reason}"
    if artifact.lapsed:
        yield f"    its waiver by {artifact.lapsed.owner} ended on {artifact.lapsed.expires}"


def because(artifact: CheckedArtifact) -> str:
    """Say which variations change an artefact."""
    sets = [" with ".join(names) for names in artifact.causes]
    if not artifact.certain:
        return f"changed by one or more of {', '.join(sets)} (not searched to the end)"
    return f"changed by {' and by '.join(sets)}"


def outcome(axis: TriedAxis) -> str:
    """Say what the build of an axis showed, or why there was none."""
    if axis.state == "not run":
        return f"not run: {axis.reason}" if axis.reason else "not run"
    if axis.state == "failed":
        return f"the build failed: {axis.reason}"
    if axis.state == "same":
        return "the same"
    names = (f"{path} (waived)" if path in axis.waived else path for path in axis.differing)
    return f"not the same: {', '.join(names)}"


def variations(tried: Sequence[Tried], *, backend: str, width: int | None = None) -> str:
    """Return the table of what can be varied on this host and backend."""
    headers = ["variation", "control", "varied", "needs", f"here, {backend}"]
    rows = [[t.name, t.control, t.varied, t.needs or "nothing", _here(t.missing)] for t in tried]
    return plain(headers, rows, width=width, shrink=(4, 2, 3, 1))


def axes(tried: Sequence[TriedAxis], *, width: int | None = None) -> str:
    """Return the table of what is varied on request."""
    headers = ["not run unless asked", "what", "needs", "here"]
    rows = [[f"--also {t.ask}", t.what, t.needs, _here(t.reason)] for t in tried]
    return plain(headers, rows, width=width, shrink=(3, 1, 2))


def _here(missing: str) -> str:
    return f"no: {missing}" if missing else "yes"
