"""A comparison of two builds, as text for a person and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from gbuild.check.compare import because
from gbuild.model.comparison import Compared, Differing, Presence
from gbuild.ui import table

_SHOWN = 20
"""Changed inputs and packages that are told one by one."""


def lines(differing: Differing, *, everything: bool = False) -> Iterator[str]:
    """Yield the answer, a line each, not escaped; the same artefacts only with ``everything``."""
    count = len(differing.artifacts)
    same = sum(a.presence is Presence.SAME for a in differing.artifacts)
    yield f"A: {differing.a}"
    yield f"B: {differing.b}"
    yield "all the same" if same == count else f"{count - same} of {count} artefacts differ"
    for artifact in differing.artifacts:
        if everything or artifact.presence is not Presence.SAME:
            yield from _artifact(artifact)
    if said := because(differing):
        yield "what went in differs all the same:" if differing.same else "what can explain it:"
        yield from (f"  {one}" for one in said)
    for change in differing.changed[:_SHOWN]:
        yield f"    {change.kind} {change.name}: {change.a or 'none'} / {change.b or 'none'}"
    if len(differing.changed) > _SHOWN:
        yield f"    and {len(differing.changed) - _SHOWN} more (--json has them all)"


def _artifact(artifact: Compared) -> Iterator[str]:
    yield f"  {artifact.presence.value:<9}  {artifact.path}"
    for trace in artifact.traces:
        yield f"    {trace.cause} in {trace.where}: {trace.evidence}"
    for mend in dict.fromkeys(f"{t.cause}: {t.mend}" for t in artifact.traces):
        yield f"      mend {mend}"
    if artifact.unknown:
        yield "    some of what differs has no cause that is known"


def markdown(differing: Differing) -> str:
    """Return the comparison as Markdown, for an issue or a pull request."""
    rows = [
        [a.path, a.presence.value, ", ".join(dict.fromkeys(t.cause for t in a.traces))]
        for a in differing.artifacts
        if a.presence is not Presence.SAME
    ]
    parts = [table.markdown(["artefact", "state", "causes"], rows)] if rows else ["All the same."]
    if said := because(differing):
        parts.append(table.markdown(["what can explain it"], [[one] for one in said]))
    if differing.changed:
        changed = [[c.kind, c.name, c.a or "none", c.b or "none"] for c in differing.changed]
        parts.append(table.markdown(["what", "name", differing.a, differing.b], changed))
    return "\n\n".join(parts) + "\n"
