"""A comparison of two builds as one HTML page that loads nothing and has no script.

Every foreign word goes through :func:`gbuild.ui.escape.html`, once, here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gbuild import __version__
from gbuild.check.compare import because
from gbuild.model.check import Trace
from gbuild.model.comparison import Compared, Differing, Looked, Presence
from gbuild.model.rebuilt import Rebuilt
from gbuild.ui import standalone
from gbuild.ui.comparison_detail import Part, shown
from gbuild.ui.comparison_text import headline
from gbuild.ui.escape import html
from gbuild.ui.rebuilt_text import lines

_MOST_LINES = 2000
"""Lines of a report on the page; the rest is in its file."""

_KINDS = {
    Presence.SAME: "good",
    Presence.DIFFERS: "bad",
    Presence.ONLY_A: "warn",
    Presence.ONLY_B: "warn",
}
_MARKS = {"+": "ins", "-": "del", "@": "i"}


def page(differing: Differing, rebuilt: Rebuilt | None = None, *, version: str = "") -> str:
    """Return the whole page, with what rebuilds proved; the same values give the same bytes."""
    style = standalone.asset("page.css") + standalone.asset("check.css")
    style += standalone.asset("comparison.css")
    body = (
        *_header(differing),
        "<main>",
        *_inputs(differing),
        *(_rebuilt(rebuilt) if rebuilt else ()),
        *(line for artifact in differing.artifacts for line in _artifact(artifact)),
        *_same(differing),
        "</main>",
    )
    title = f"{differing.a} and {differing.b}"
    return standalone.page(
        title, body, style=style, command="gdiff", version=version or __version__
    )


def _header(differing: Differing) -> Iterator[str]:
    kind = "good" if differing.same else "bad"
    yield "<header>"
    yield "<h1>Two builds, compared</h1>"
    yield f'<p><span class="verdict k-{kind}">{html(headline(differing))}</span></p>'
    yield f'<p class="soft">A: <code>{html(differing.a)}</code></p>'
    yield f'<p class="soft">B: <code>{html(differing.b)}</code></p>'
    causes = Counter(
        cause for a in differing.artifacts for cause in dict.fromkeys(t.cause for t in a.traces)
    )
    if causes:
        said = ", ".join(f"{html(cause)} ({count})" for cause, count in causes.most_common())
        yield f"<p>Causes, by artefacts: {said}.</p>"
    if differing.note:
        yield f'<p class="soft">{html(differing.note)}</p>'
    yield "</header>"


def _inputs(differing: Differing) -> Iterator[str]:
    said = because(differing)
    if not said and not differing.changed:
        return
    yield '<section class="card"><h2>What went in</h2>'
    yield from (f"<p>{html(one)}.</p>" for one in said)
    if differing.changed:
        yield '<div class="wide"><table class="totals"><thead><tr>'
        yield from (f'<th scope="col">{name}</th>' for name in ("what", "name", "A", "B"))
        yield "</tr></thead><tbody>"
        for change in differing.changed:
            cells = (change.kind, change.name, change.a or "none", change.b or "none")
            yield f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in cells)}</tr>"
        yield "</tbody></table></div>"
    yield "</section>"


def _rebuilt(rebuilt: Rebuilt) -> Iterator[str]:
    yield '<section class="card"><h2>Built again</h2><ul>'
    *builds, proved = lines(rebuilt)
    yield from (f"<li>{html(one)}</li>" for one in builds)
    kind = "good" if rebuilt.explained else "warn"
    yield f'</ul><p><span class="pill k-{kind}">{html(proved)}</span></p></section>'


def _artifact(artifact: Compared) -> Iterator[str]:
    if artifact.presence is Presence.SAME:
        return
    said = artifact.presence.value
    yield '<section class="card artefact">'
    yield (
        f"<h3><code>{html(artifact.path)}</code> "
        f'<span class="pill k-{_KINDS[artifact.presence]}">{html(said)}</span></h3>'
    )
    for side, value in (("A", artifact.a), ("B", artifact.b)):
        if value:
            yield f'<p class="digest">{side} <code>{html(value)}</code></p>'
    for trace in artifact.traces:
        yield from _trace(trace)
    if artifact.unknown:
        yield '<p class="soft">Some of what differs has no cause that is known.</p>'
    if artifact.looked:
        yield from _looked(artifact.looked)
    yield "</section>"


def _trace(trace: Trace) -> Iterator[str]:
    yield f'<div class="trace"><b>{html(trace.cause)}</b> in <code>{html(trace.where)}</code>'
    yield f"<pre>{html(trace.evidence)}</pre>"
    yield f'<p class="mend">Mend: {html(trace.mend)}</p></div>'


def _looked(looked: Looked) -> Iterator[str]:
    found = shown(looked, _MOST_LINES)
    if found.parts:
        yield "<details open><summary>What diffoscope says</summary>"
        for part in found.parts:
            yield from _part(part)
        if found.left_out:
            yield f'<p class="soft">{found.left_out} more lines are not shown.</p>'
        yield "</details>"
    if looked.note:
        yield f'<p class="soft">diffoscope: {html(looked.note)}</p>'
    if looked.kept:
        yield f'<p class="soft">The whole report: <code>{html(looked.kept)}</code></p>'


def _part(part: Part) -> Iterator[str]:
    way = " <span>in</span> ".join(html(step) for step in reversed(part.where))
    yield f'<div class="part"><h4>{way}</h4>'
    yield from (f'<p class="soft">{html(comment)}</p>' for comment in part.comments)
    if part.lines:
        yield f'<pre class="diff">{"".join(map(_line, part.lines))}</pre>'
    yield "</div>"


def _line(line: str) -> str:
    tag = _MARKS.get(line[:1])
    text = html(line)
    return f"<{tag}>{text}</{tag}>\n" if tag else f"{text}\n"


def _same(differing: Differing) -> Iterator[str]:
    names = [a.path for a in differing.artifacts if a.presence is Presence.SAME]
    if names:
        yield '<section class="card"><h2>The same on both sides</h2>'
        yield from (f"<p><code>{html(name)}</code></p>" for name in names)
        yield "</section>"
