"""What a check found, as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gbuild.model.check import CheckedArtifact, CheckResult, Reproducible, Tried
from gbuild.ui.table import plain


def summary(result: CheckResult) -> str:
    """Say in one line what the check found."""
    count = len(result.artifacts)
    noun = "artefact" if count == 1 else "artefacts"
    broken = [a for a in result.artifacts if a.verdict is not Reproducible.YES]
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
    missing = [f"{t.name} ({t.missing})" for t in result.variations if t.missing]
    if missing:
        yield f"not varied: {', '.join(missing)}"
    yield f"{len(result.builds)} builds in {result.seconds:.0f} s"


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


def variations(tried: Sequence[Tried]) -> str:
    """Return the table of what can be varied here."""
    rows = [[t.name, t.control, t.varied, t.missing or "yes"] for t in tried]
    return plain(["variation", "control", "varied", "here"], rows)
