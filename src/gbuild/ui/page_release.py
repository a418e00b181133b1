"""One release on the page: a line that opens, with reasons, signers, matrix and digests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gbuild.model.verdict import Comparison, ReleaseVerdict, SignerVerdict, Status
from gbuild.ui import words
from gbuild.ui.escape import html
from gbuild.verify.policy import BROKEN

_LEGEND = " · ".join(f"{words.MARKS[state]} {said}" for state, said in words.LEGEND.items())
_DIFFERENCES = 20


def release(number: int, verdict: ReleaseVerdict, pill: str) -> Iterator[str]:
    """Yield the lines of one release; ``pill`` is its verdict as HTML."""
    statuses = " ".join(sorted({entry.claim.status for entry in verdict.signers}))
    yield (
        f'<details class="release {verdict.outcome}" id="r{number}" '
        f'data-verdict="{verdict.outcome}" data-statuses="{statuses}">'
    )
    yield (
        f'<summary>{pill}<span class="name">{html(verdict.release)} '
        f"<span>{html(words.package(verdict))}</span></span>"
        f'<span class="facts">{html(_facts(verdict))}</span>{_why(verdict)}</summary>'
    )
    yield '<div class="body">'
    yield from _reasons(verdict)
    if verdict.signers:
        yield from _signers(verdict.signers)
    if verdict.artifacts:
        yield from _matrix(verdict)
        yield from _contested(verdict)
        yield from _sums(verdict)
    yield from _comparison("inputs", verdict.inputs)
    yield from _comparison("packages", verdict.packages)
    yield "</div></details>"


def _facts(verdict: ReleaseVerdict) -> str:
    entries, files = len(verdict.signers), len(verdict.artifacts)
    counted = sum(entry.counted for entry in verdict.signers)
    return (
        f"{counted} of {entries} {'entry counts' if entries == 1 else 'entries count'}, "
        f"{files} {'artefact' if files == 1 else 'artefacts'}"
    )


def _why(verdict: ReleaseVerdict) -> str:
    if not verdict.reasons:
        return ""
    more = len(verdict.reasons) - 1
    rest = f" (and {more} more)" if more else ""
    return f'<span class="why">{html(verdict.reasons[0] + rest)}</span>'


def _reasons(verdict: ReleaseVerdict) -> Iterator[str]:
    if verdict.reasons:
        items = "".join(f"<li>{html(reason)}</li>" for reason in verdict.reasons)
        yield f'<ul class="reasons">{items}</ul>'


def _signers(entries: Sequence[SignerVerdict]) -> Iterator[str]:
    yield '<div class="wide"><table class="signers"><caption>Signers</caption><thead><tr>'
    yield '<th scope="col" class="n">#</th>'
    heads = ("signer", "signature", "key", "artefacts", "remark")
    yield "".join(f'<th scope="col">{head}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for number, entry in enumerate(entries, 1):
        yield (
            f'<tr><td class="n">{number}</td><th scope="row">{html(entry.claim.signer)}</th>'
            f"<td>{_status(entry)}</td><td>{_key(entry)}</td>"
            f"<td>{html(words.agreement(entry))}</td><td>{html(words.remark(entry))}</td></tr>"
        )
    yield "</tbody></table></div>"


def _status(entry: SignerVerdict) -> str:
    status = entry.claim.status
    broken = "bad" if status in BROKEN else "warn"
    kind = "good" if entry.counted else broken
    sign = {"good": "✓", "warn": "?", "bad": "✗"}[kind]
    return f'<span class="pill k-{kind}">{sign} {status}</span>'


def _key(entry: SignerVerdict) -> str:
    signature = entry.claim.signature
    key = entry.claim.fingerprint or (signature.key_id if signature else None)
    if not key:
        return '<span class="soft">none</span>'
    known = "" if entry.claim.status is not Status.UNKNOWN_KEY else " (unknown)"
    return f'<code class="fingerprint">{html(key)}{known}</code>'


def _matrix(verdict: ReleaseVerdict) -> Iterator[str]:
    label = f"Who signed what in {words.package(verdict)} {verdict.release}"
    yield f'<div class="wide" role="region" tabindex="0" aria-label="{html(label)}">'
    yield '<table class="matrix"><caption>Who signed what</caption><thead><tr>'
    yield '<th scope="col">artefact</th>'
    for entry in verdict.signers:
        faint = "" if entry.counted else " uncounted"
        yield f'<th scope="col"><div class="who{faint}">{html(entry.claim.signer)}</div></th>'
    yield "</tr></thead><tbody>"
    letters = words.letters(verdict)
    for path in verdict.artifacts:
        cells = "".join(_cell(entry, path, letters.get(path, {})) for entry in verdict.signers)
        yield f'<tr><th scope="row">{html(words.path(path))}</th>{cells}</tr>'
    yield "</tbody></table></div>"
    yield f'<p class="legend">{_LEGEND}; faint: not counted</p>'


def _cell(entry: SignerVerdict, path: str, letters: Mapping[str, str]) -> str:
    state = entry.states.get(path)
    if state is None:
        return "<td></td>"
    letter = letters.get((entry.claim.artifacts or {}).get(path, ""), "")
    faint = "" if entry.counted else " uncounted"
    said = f"{words.MARKS[state]} {letter}".rstrip()
    return (
        f'<td class="s-{state}{faint}"><span title="{html(words.LEGEND[state])}">{said}</span></td>'
    )


def _contested(verdict: ReleaseVerdict) -> Iterator[str]:
    """List the different files of contested artefacts, as the letters in the matrix."""
    letters = words.letters(verdict)
    if not letters:
        return
    yield "<h2>Different files</h2>"
    for path, own in letters.items():
        lines = "\n".join(
            f"{letter}  {digest}  {', '.join(words.signed_by(verdict, path, digest))}"
            for digest, letter in own.items()
        )
        yield f"<p>{html(words.path(path))}</p><pre>{html(lines)}</pre>"


def _sums(verdict: ReleaseVerdict) -> Iterator[str]:
    """Give the digests on which all who count agree, as ``sha256sum -c`` reads them."""
    sums = words.agreed(verdict)
    if sums:
        text = "\n".join(f"{digest}  {path}" for path, digest in sums.items())
        yield "<details><summary>SHA256SUMS that nobody who counts contests</summary>"
        yield f"<pre>{html(text)}</pre></details>"


def _comparison(what: str, comparison: Comparison) -> Iterator[str]:
    said = words.compared(what, comparison)
    if said is None:
        return
    if comparison.same:
        yield f'<p class="soft">{html(said)}</p>'
        return
    yield f"<details><summary>{html(said)}</summary><ul>"
    for each in comparison.differ[:_DIFFERENCES]:
        values = " | ".join(f"{value}: {', '.join(who)}" for value, who in each.values.items())
        yield f'<li>{html(each.what)} <span class="soft">{html(values)}</span></li>'
    more = comparison.number - len(comparison.differ[:_DIFFERENCES])
    yield f"</ul>{f'<p>and {more} more</p>' if more else ''}</details>"
