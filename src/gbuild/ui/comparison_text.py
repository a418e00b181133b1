"""A comparison of two builds, as text for a person and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from gbuild.check.compare import because
from gbuild.model.comparison import Compared, Differing, Looked, Presence
from gbuild.ui import escape, table
from gbuild.ui.comparison_detail import Part, shown

_SHOWN = 20
"""Changed inputs and packages that are told one by one."""
_LINES = 24
"""Lines of a diffoscope report that are shown of each artefact, all of them with ``--all``."""
_MARKDOWN_LINES = 200
_ALL = 1 << 30


def headline(differing: Differing) -> str:
    """Sum up the artefacts in a few words."""
    count = len(differing.artifacts)
    same = sum(a.presence is Presence.SAME for a in differing.artifacts)
    return "all the same" if same == count else f"{count - same} of {count} artefacts differ"


def lines(differing: Differing, *, everything: bool = False) -> Iterator[str]:
    """Yield the answer, a line each, not escaped; the same artefacts only with ``everything``."""
    yield f"A: {differing.a}"
    yield f"B: {differing.b}"
    yield headline(differing)
    for artifact in differing.artifacts:
        if everything or artifact.presence is not Presence.SAME:
            yield from _artifact(artifact, _ALL if everything else _LINES)
    if differing.note:
        yield differing.note
    if said := because(differing):
        yield "what went in differs all the same:" if differing.same else "what can explain it:"
        yield from (f"  {one}" for one in said)
    for change in differing.changed[:_SHOWN]:
        yield f"    {change.kind} {change.name}: {change.a or 'none'} / {change.b or 'none'}"
    if len(differing.changed) > _SHOWN:
        yield f"    and {len(differing.changed) - _SHOWN} more (--json has them all)"


def _artifact(artifact: Compared, limit: int) -> Iterator[str]:
    yield f"  {artifact.presence.value:<9}  {artifact.path}"
    for trace in artifact.traces:
        yield f"    {trace.cause} in {trace.where}: {trace.evidence}"
    for mend in dict.fromkeys(f"{t.cause}: {t.mend}" for t in artifact.traces):
        yield f"      mend {mend}"
    if artifact.unknown:
        yield "    some of what differs has no cause that is known"
    if artifact.looked:
        yield from (f"    {line}" for line in _looked(artifact.looked, limit))


def _looked(looked: Looked, limit: int) -> Iterator[str]:
    found = shown(looked, limit)
    for part in found.parts:
        yield f"diffoscope: {_place(part)}"
        yield from (f"  {line}" for line in (*part.comments, *part.lines))
    if found.left_out:
        yield f"  {found.left_out} more lines: --all, or --html FILE"
    if looked.note:
        yield f"diffoscope: {looked.note}"
    if looked.kept:
        yield f"diffoscope: report in {looked.kept}"


def _place(part: Part) -> str:
    return " > ".join(part.where)


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
    parts += [text for a in differing.artifacts if a.looked for text in _reported(a, a.looked)]
    if differing.note:
        parts.append(escape.markdown(differing.note))
    return "\n\n".join(parts) + "\n"


def _reported(artifact: Compared, looked: Looked) -> Iterator[str]:
    """Yield blocks: a heading, then a fenced diff for every place."""
    yield f"### {escape.markdown(artifact.path)}"
    found = shown(looked, _MARKDOWN_LINES)
    for part in found.parts:
        yield escape.markdown(_place(part))
        if text := "\n".join((*part.comments, *part.lines)):
            yield escape.fenced(text, "diff")
    if found.left_out:
        yield f"{found.left_out} more lines are not shown."
    if looked.note:
        yield escape.markdown(f"diffoscope: {looked.note}")
