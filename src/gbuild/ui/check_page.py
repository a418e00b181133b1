"""A check as one HTML page that loads nothing: the matrix of artefacts and variations first.

The page has no script; its policy allows its one style by hash and nothing else. Every foreign
word goes through :func:`gbuild.ui.escape.html`, once, here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gbuild import __version__
from gbuild.model.check import (
    CheckBuild,
    CheckedArtifact,
    CheckResult,
    Past,
    Reproducible,
    Trace,
    TriedAxis,
)
from gbuild.ui import standalone
from gbuild.ui.check_text import because, not_varied, outcome, summary
from gbuild.ui.escape import html

_WIDEST = 320
"""Points of the longest bar."""

_EARLIER = 20
"""Checks of the history that are shown."""

_PILLS = {Reproducible.YES: "good", Reproducible.SENSITIVE: "bad", Reproducible.UNSTABLE: "bad"}


def page(result: CheckResult, earlier: Sequence[Past], *, version: str = "") -> str:
    """Return the whole page; the same result gives the same bytes.

    Args:
        result: what is shown.
        earlier: the checks before it, oldest first.
        version: of the program, this one's by default.
    """
    style = standalone.asset("page.css") + standalone.asset("check.css")
    body = (
        *_header(result),
        "<main>",
        *_matrix(result),
        *_axes(result),
        *(line for artifact in result.artifacts for line in _artifact(artifact)),
        *_builds(result),
        *_history(result, earlier),
        "</main>",
    )
    title = f"Is {result.name} reproducible?"
    return standalone.page(
        title, body, style=style, command="gcheck", version=version or __version__
    )


def _header(result: CheckResult) -> Iterator[str]:
    moment = datetime.fromtimestamp(result.started, UTC)
    waived = any(a.waiver for a in result.artifacts) or any(a.waived for a in result.axes)
    kind = "bad" if not result.passes else "warn" if waived else "good"
    yield "<header>"
    yield f"<h1>Is {html(result.name)} reproducible?</h1>"
    yield f'<p><span class="verdict k-{kind}">{html(summary(result))}</span></p>'
    yield (
        f'<p class="soft">{len(result.builds)} builds on {html(result.backend)}, '
        f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M} UTC</time>, '
        f"{result.seconds:.0f} s. "
        f"Descriptor <code>{html(result.descriptor_sha256[:16])}</code>.</p>"
    )
    yield "</header>"


def _matrix(result: CheckResult) -> Iterator[str]:
    yield '<section class="card"><h2>What changes which artefact</h2><div class="wide">'
    yield '<table class="grid"><thead><tr><th scope="col">artefact</th>'
    yield '<th scope="col"><span>nothing varied</span></th>'
    for tried in result.variations:
        hint = f"{tried.control} / {tried.varied}"
        yield f'<th scope="col" title="{html(hint)}"><span>{html(tried.name)}</span></th>'
    ran = [axis for axis in result.axes if axis.state != "not run"]
    for axis in ran:
        hint = f"{axis.what} (--also {axis.ask})"
        yield f'<th scope="col" title="{html(hint)}"><span>{html(axis.words)}</span></th>'
    yield "</tr></thead><tbody>"
    off = {tried.name for tried in result.variations if tried.missing}
    for artifact in result.artifacts:
        yield f'<tr><th scope="row"><code>{html(artifact.path)}</code></th>'
        yield _cell(*_alone(artifact))
        for tried in result.variations:
            yield _cell(*_state(artifact, tried.name, off=tried.name in off))
        for axis in ran:
            yield _cell(*_with(artifact, axis))
        yield "</tr>"
    yield "</tbody></table></div>"
    yield (
        '<p class="soft">✗ is enough to change it · + changes it together with another one · '
        "? may change it · ✓ varied and the same · – not varied</p>"
    )
    if missing := ", ".join(not_varied(result)):
        yield f'<p class="soft">Not varied: {html(missing)}.</p>'
    yield "</section>"


def _alone(artifact: CheckedArtifact) -> tuple[str, str, str]:
    if artifact.verdict is Reproducible.UNSTABLE:
        said = f"{artifact.differed} of {artifact.repeats} unvaried builds differed"
        return "cause", "✗", said
    return ("none", "✓", "the same again") if artifact.repeats else ("off", "–", "not repeated")


def _state(artifact: CheckedArtifact, name: str, *, off: bool) -> tuple[str, str, str]:
    if off:
        return "off", "–", "not varied"
    if artifact.verdict is Reproducible.UNSTABLE:
        return "off", "–", "cannot be told: it differs by itself"
    for names in artifact.causes:
        if name in names:
            if not artifact.certain:
                return "maybe", "?", "may change it"
            return ("cause", "✗", "is enough") if len(names) == 1 else ("cause", "+", "together")
    return "none", "✓", "varied and the same"


def _with(artifact: CheckedArtifact, axis: TriedAxis) -> tuple[str, str, str]:
    if axis.state == "failed":
        return "maybe", "?", "that build failed"
    if artifact.verdict is Reproducible.UNSTABLE:
        return "off", "–", "cannot be told: it differs by itself"
    if artifact.path in axis.differing:
        return "cause", "✗", f"not the same with {axis.words}"
    return "none", "✓", "the same"


def _axes(result: CheckResult) -> Iterator[str]:
    """Show what is varied on request alone, so that nobody takes it for varied."""
    if not result.axes:
        return
    yield '<section class="card"><h2>Varied on request only</h2><div class="wide">'
    yield '<table class="rows"><thead><tr><th scope="col">axis</th><th scope="col">what</th>'
    yield '<th scope="col">outcome</th></tr></thead><tbody>'
    for axis in result.axes:
        words = axis.words if axis.state != "not run" else f"--also {axis.ask}"
        pill = f'<span class="pill {_axis_kind(axis)}">{html(axis.state)}</span>'
        said = html(axis.reason or (outcome(axis) if axis.differing else ""))
        yield f'<tr><th scope="row"><code>{html(words)}</code></th><td>{html(axis.what)}</td>'
        yield f"<td>{pill} {said}</td></tr>"
    yield "</tbody></table></div></section>"


def _axis_kind(axis: TriedAxis) -> str:
    if axis.state == "not run":
        return "soft"
    if axis.failing:
        return "k-bad"
    return "k-good" if axis.state == "same" else "k-warn"


def _cell(kind: str, mark: str, said: str) -> str:
    return f'<td class="c-{kind}" title="{html(said)}"><span>{mark}</span></td>'


def _artifact(artifact: CheckedArtifact) -> Iterator[str]:
    if artifact.verdict is Reproducible.YES:
        return
    yield '<section class="card artefact">'
    kind = "warn" if artifact.waiver else _PILLS[artifact.verdict]
    said = f"{artifact.verdict.value}, waived" if artifact.waiver else artifact.verdict.value
    yield f'<h3><code>{html(artifact.path)}</code> <span class="pill k-{kind}">{said}</span></h3>'
    if artifact.causes:
        yield f"<p>It is {html(because(artifact))}.</p>"
    if artifact.verdict is Reproducible.UNSTABLE:
        yield f"<p>{html(_alone(artifact)[2])}.</p>"
    for waiver, word in ((artifact.waiver, "Waived until"), (artifact.lapsed, "Waiver ended on")):
        if waiver:
            said = f"{word} {waiver.expires} by {waiver.owner}: {waiver.reason}"
            yield f"<p>{html(said)}</p>"
    for trace in artifact.traces:
        yield from _trace(trace)
    if artifact.unknown:
        yield "<p class='soft'>Some of what differs has no cause that is known.</p>"
    yield "</section>"


def _trace(trace: Trace) -> Iterator[str]:
    yield f'<div class="trace"><b>{html(trace.cause)}</b> in <code>{html(trace.where)}</code>'
    yield f"<pre>{html(trace.evidence)}</pre>"
    yield f'<p class="mend">Mend: {html(trace.mend)}</p></div>'


def _builds(result: CheckResult) -> Iterator[str]:
    longest = max((build.seconds for build in result.builds), default=1.0) or 1.0
    control = dict(result.builds[0].artifacts) if result.builds else {}
    yield '<section class="card"><h2>The builds</h2><div class="wide"><table class="builds"><tbody>'
    for build in result.builds:
        differs = dict(build.artifacts) != control
        width = max(2, round(_WIDEST * build.seconds / longest))
        kind = ' class="differs"' if differs else ""
        yield (
            f"<tr><td>{build.number}</td><td>{html(_kind(build))}</td>"
            f'<td><svg class="bar" width="{_WIDEST}" height="12" role="img" '
            f'aria-label="{build.seconds:.1f} seconds"><rect{kind} width="{width}" height="12" '
            f'rx="3"/></svg> {build.seconds:.1f} s</td>'
            f"<td>{html(build.failure or ('differs' if differs else 'the same'))}</td></tr>"
        )
    yield "</tbody></table></div></section>"


def _kind(build: CheckBuild) -> str:
    if build.kind in ("test", "axis"):
        return ", ".join(build.varied)
    words = {"control": "control", "repeat": "control again", "all": "everything varied"}
    return words[build.kind]


def _history(result: CheckResult, earlier: Sequence[Past]) -> Iterator[str]:
    if not earlier:
        return
    shown = earlier[-_EARLIER:]
    yield '<section class="card"><h2>Earlier checks</h2><div class="wide">'
    yield '<table class="grid strip">'
    yield '<thead><tr><th scope="col">artefact</th>'
    for past in shown:
        yield f'<th scope="col"><span>{html(past.started[:16].replace("T", " "))}</span></th>'
    yield '<th scope="col"><span>now</span></th></tr></thead><tbody>'
    for artifact in result.artifacts:
        yield f'<tr><th scope="row"><code>{html(artifact.path)}</code></th>'
        for said in (*(p.verdicts.get(artifact.path, "") for p in shown), artifact.verdict.value):
            yield _cell(*_then(said))
        yield "</tr>"
    yield "</tbody></table></div></section>"


def _then(said: str) -> tuple[str, str, str]:
    if not said:
        return "off", "–", "not made"
    return ("none", "✓", said) if said == Reproducible.YES.value else ("cause", "✗", said)
