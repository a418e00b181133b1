"""Verdicts as Markdown, for the comment of a pull request. Every foreign word is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gbuild.model.verdict import Outcome, ReleaseVerdict, SignerVerdict, State
from gbuild.ui import escape, table, words

_SIGNS: Mapping[Outcome, str] = {
    Outcome.AGREE: "✅",
    Outcome.MISMATCH: "❌",
    Outcome.UNTRUSTED: "⚠️",
}
_MARKS: Mapping[State | None, str] = {
    State.AGREE: "✅",
    State.DIFFER: "❌",
    State.NOT_BUILT: "–",
    State.EXTRA: "+",
    None: "",
}
_LEGEND = ", ".join(f"{_MARKS[state]} {said}" for state, said in words.LEGEND.items())
_REASONS = 20
_ROWS = 300
LONGEST = 60_000
"""Characters of a whole text; forges refuse comments above 65,536."""


def page(verdicts: Sequence[ReleaseVerdict], *, required: str) -> str:
    """Return the whole text; what does not fit a comment is counted instead of shown."""
    head = [_heading(verdicts)]
    if len(verdicts) > 1:
        head.append(_overview(verdicts))
    foot = f"Required: {escape.markdown(required)}."
    room = LONGEST - sum(map(len, head)) - len(foot)
    parts = []
    for number, verdict in enumerate(verdicts):
        part = _release(verdict)
        room -= len(part) + 2
        if room < 0:
            parts.append(f"… and {len(verdicts) - number} more, too long for a comment.")
            break
        parts.append(part)
    return "\n\n".join([*head, *parts, foot]) + "\n"


def _heading(verdicts: Sequence[ReleaseVerdict]) -> str:
    return f"**{escape.markdown(words.several(words.counts(verdicts), 'release'))}**"


def _overview(verdicts: Sequence[ReleaseVerdict]) -> str:
    worst_first = sorted(verdicts, key=lambda each: each.outcome is Outcome.AGREE)
    rows = [
        f"| {_SIGNS[each.outcome]} {each.outcome} | {_title(each)} | {each.persons} |"
        for each in worst_first[:_ROWS]
    ]
    more = len(verdicts) - len(rows)
    lines = ["| verdict | release | persons |", "| --- | --- | --- |", *rows]
    return "\n".join([*lines, *([f"\n… and {more} more."] if more else [])])


def _title(verdict: ReleaseVerdict) -> str:
    return escape.markdown(f"{words.package(verdict)} {verdict.release}")


def _release(verdict: ReleaseVerdict) -> str:
    sentence = f"{words.SENTENCES[verdict.outcome]} ({words.persons(verdict)})"
    parts = [
        f"### {_SIGNS[verdict.outcome]} {_title(verdict)}",
        escape.markdown(sentence),
        *_reasons(verdict),
    ]
    if verdict.signers:
        parts.append(_signers(verdict.signers))
    if verdict.artifacts:
        matrix = f"{_matrix(verdict)}\n\n{_LEGEND}"
        parts.append(matrix if not words.unanimous(verdict) else _hidden("artefacts", matrix))
    if said := words.comparisons(verdict):
        parts.append("  \n".join(map(escape.markdown, said)))
    return "\n\n".join(parts)


def _reasons(verdict: ReleaseVerdict) -> list[str]:
    shown = [f"- {escape.markdown(reason)}" for reason in verdict.reasons[:_REASONS]]
    more = len(verdict.reasons) - len(shown)
    lines = [*shown, *([f"- and {more} more"] if more else [])]
    return ["\n".join(lines)] if lines else []


def _signers(entries: Sequence[SignerVerdict]) -> str:
    rows = [
        [
            str(number),
            entry.claim.signer,
            entry.claim.status.value,
            words.agreement(entry),
            words.remark(entry),
        ]
        for number, entry in enumerate(entries, 1)
    ]
    return table.markdown(["", "signer", "signature", "artefacts", ""], rows)


def _matrix(verdict: ReleaseVerdict) -> str:
    headers = ["artefact", *(str(number) for number, _ in enumerate(verdict.signers, 1))]
    rows = [
        [words.path(path), *(_MARKS[entry.states.get(path)] for entry in verdict.signers)]
        for path in verdict.artifacts
    ]
    return table.markdown(headers, rows)


def _hidden(what: str, text: str) -> str:
    return f"<details><summary>{what}</summary>\n\n{text}\n\n</details>"
