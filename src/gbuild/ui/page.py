"""Verdicts as one HTML page that loads nothing: search, filters, a matrix for every release.

The page works without its script (every release can be opened), without a network and from a
file. Its policy allows the one script and the one style by their hashes and nothing else, so
that foreign text could not run or load anything even if it were not escaped. Every foreign word
goes through :func:`gbuild.ui.escape.html`, once, here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from gbuild import __version__
from gbuild.model.verdict import Outcome, ReleaseVerdict
from gbuild.ui import standalone, words
from gbuild.ui.escape import html
from gbuild.ui.page_release import release

_PILLS: Mapping[Outcome, str] = {
    Outcome.AGREE: "✓ agree",
    Outcome.MISMATCH: "✗ mismatch",
    Outcome.UNTRUSTED: "! untrusted",
}
_NUMBERS = re.compile(r"(\d+)")


def page(
    verdicts: Sequence[ReleaseVerdict], *, title: str, required: str, at: int, version: str = ""
) -> str:
    """Return the whole page; the same verdicts give the same bytes.

    Args:
        verdicts: what was judged; shown newest first, as far as names tell.
        title: what the tree is called.
        required: the policy in words.
        at: the moment that was judged at, in seconds since the epoch.
        version: of the program, this one's by default.
    """
    ordered = enumerate(sorted(verdicts, key=_newest, reverse=True))
    style, script = standalone.asset("page.css"), standalone.asset("page.js")
    body = (
        '<a class="skip" href="#releases">To the releases</a>',
        *_header(verdicts, title, required, at),
        *_tools(verdicts),
        '<main id="releases">',
        *(each for number, verdict in ordered for each in release(number, verdict, _pill(verdict))),
        "</main>",
    )
    return standalone.page(
        f"Signatures of {title}",
        body,
        style=style,
        command="gverify",
        version=version or __version__,
        script=script,
    )


def _header(
    verdicts: Sequence[ReleaseVerdict], title: str, required: str, at: int
) -> Iterator[str]:
    moment = datetime.fromtimestamp(at, UTC)
    yield "<header>"
    yield f"<h1>Signatures of {html(title)}</h1>"
    yield f"<p>{html(words.several(words.counts(verdicts), 'release'))}. "
    yield f"{html(words.several(words.statuses(verdicts), 'entry'))}.</p>"
    yield (
        f'<p class="soft required">Judged as of <time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">'
        f"{moment:%Y-%m-%d %H:%M} UTC</time>. Required: {html(required)}.</p>"
    )
    yield "</header>"


def _tools(verdicts: Sequence[ReleaseVerdict]) -> Iterator[str]:
    """The search and the filters; hidden until the script is there to serve them."""
    yield '<div class="tools" role="search" hidden>'
    yield (
        '<input type="search" aria-label="Search releases, signers, keys and artefacts" '
        'placeholder="Search releases, signers, keys, artefacts   ( / )">'
    )
    yield '<div class="chips" role="group" aria-label="Show only releases that are">'
    yield from _chips("verdict", words.counts(verdicts))
    yield '<span class="gap"></span><output aria-live="polite"></output>'
    yield '<button type="button" id="fold">open or close all</button></div>'
    yield '<div class="chips" role="group" aria-label="Show only releases with an entry that is">'
    yield from _chips("status", words.statuses(verdicts))
    yield "</div></div>"


def _chips(kind: str, counted: Mapping[str, int]) -> Iterator[str]:
    for word, number in counted.items():
        yield (
            f'<button type="button" data-kind="{kind}" data-value="{html(word)}" '
            f'aria-pressed="false">{html(word)} <span class="soft">{number}</span></button>'
        )


def _pill(verdict: ReleaseVerdict) -> str:
    return f'<span class="pill">{_PILLS[verdict.outcome]}</span>'


def _newest(verdict: ReleaseVerdict) -> tuple[list[tuple[int, int, str]], str]:
    """Order names by the numbers in them: 0.9 before 0.10."""
    parts = _NUMBERS.split(verdict.release)
    return [(int(p), 1, p) if p.isdecimal() else (-1, 0, p) for p in parts if p], verdict.name
