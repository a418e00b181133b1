"""Verdicts for a terminal: signers, a matrix of artefacts, the reasons; or a line a release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from gbuild.model.verdict import Outcome, ReleaseVerdict, SignerVerdict
from gbuild.ui import escape, table, words
from gbuild.verify.meaning import meaning

_COLOURS = {Outcome.AGREE: "32", Outcome.MISMATCH: "31", Outcome.UNTRUSTED: "31"}
_LEGEND = "   ".join(f"{words.MARKS[state]}  {said}" for state, said in words.LEGEND.items())
_REASONS = 20
_NARROWEST = 40


def text(verdict: ReleaseVerdict, *, verbose: bool, markup: bool, width: int | None = None) -> str:
    """Return everything a person should see of one release, escaped, without a last newline.

    Args:
        verdict: what was judged.
        verbose: every artefact, key and digest.
        markup: mark the answer up for a terminal.
        width: columns of the terminal; longer lines are cut in tables and wrapped elsewhere.
    """
    width = None if width is None else max(width, _NARROWEST)
    parts = [escape.line(f"{words.package(verdict)} {verdict.release}")]
    if verdict.signers:
        parts.append(_signers(verdict, width))
    if verdict.artifacts and (verbose or not words.unanimous(verdict)):
        parts.append(_matrix(verdict, width))
    if verbose:
        parts += [_details(entry) for entry in verdict.signers]
        parts += ["\n".join(map(escape.line, said))] if (said := words.comparisons(verdict)) else []
    parts.append("\n".join([*_sentence(verdict, width, markup=markup), *_reasons(verdict, width)]))
    return "\n\n".join(parts)


def overview(verdicts: Sequence[ReleaseVerdict], *, markup: bool, width: int | None = None) -> str:
    """Return one line a release, for a whole tree."""
    rows = [
        [
            each.outcome.value,
            f"{words.package(each)} {each.release}",
            str(each.persons),
            _first_reason(each),
        ]
        for each in verdicts
    ]
    headers = ["verdict", "release", "persons", ""]
    lines = table.plain(headers, rows, width=width, shrink=(3, 1)).split("\n")
    if markup:
        lines[1:] = [
            _painted(each.outcome, line, len(each.outcome))
            for each, line in zip(verdicts, lines[1:], strict=True)
        ]
    return "\n".join(lines)


def totals(verdicts: Sequence[ReleaseVerdict]) -> str:
    """Return what a whole tree comes to, in two lines."""
    return "\n".join((
        words.several(words.counts(verdicts), "release"),
        words.several(words.statuses(verdicts), "entry"),
    ))  # fmt: skip


def required(words_of_policy: str, width: int | None = None) -> str:
    """Return what was required, wrapped to the terminal."""
    return "\n".join(table.wrapped(escape.line(f"required: {words_of_policy}"), width))


def _painted(outcome: Outcome, line: str, length: int) -> str:
    return f"\033[{_COLOURS[outcome]}m{line[:length]}\033[0m{line[length:]}"


def _first_reason(verdict: ReleaseVerdict) -> str:
    more = len(verdict.reasons) - 1
    first = "".join(verdict.reasons[:1])
    return f"{first} (and {more} more)" if more > 0 else first


def _signers(verdict: ReleaseVerdict, width: int | None) -> str:
    rows = [
        [
            str(number),
            entry.claim.signer,
            entry.claim.status,
            words.agreement(entry),
            words.remark(entry),
        ]
        for number, entry in enumerate(verdict.signers, 1)
    ]
    headers = ["", "signer", "signature", "artefacts", ""]
    return table.plain(headers, rows, width=width, shrink=(4, 1, 3))


def _matrix(verdict: ReleaseVerdict, width: int | None) -> str:
    """Return the matrix; too many signers for the terminal go into a second one below."""
    columns = list(enumerate(verdict.signers, 1))
    fit = len(columns) if width is None else max(1, (width - _NARROWEST // 2) // 4)
    blocks = [columns[start : start + fit] for start in range(0, len(columns), fit)]
    return "\n\n".join([*(_block(verdict, block, width) for block in blocks), _wrapped(width)])


def _wrapped(width: int | None) -> str:
    if width is None or len(_LEGEND) <= width:
        return _LEGEND
    return _LEGEND.replace("   ", "\n")


def _block(
    verdict: ReleaseVerdict, block: Sequence[tuple[int, SignerVerdict]], width: int | None
) -> str:
    headers = ["artefact", *(str(number) for number, _ in block)]
    rows = [
        [words.path(path), *(words.MARKS[entry.states.get(path)] for _, entry in block)]
        for path in verdict.artifacts
    ]
    return table.plain(headers, rows, width=width, shrink=(0,))


def _details(entry: SignerVerdict) -> str:
    claim, signature = entry.claim, entry.claim.signature
    lines = [f"{claim.signer}: {meaning(claim)}"]
    if entry.objection and entry.objection != meaning(claim):
        lines.append(f"  not counted  {entry.objection}")
    lines += [f"  note       {note}" for note in claim.notes]
    if claim.evidence:
        lines.append(f"  seen       {_moment(claim.evidence.seen)}, {claim.evidence.source}")
    if signature:
        lines.append(f"  key        {claim.fingerprint or signature.key_id or '(not named)'}")
        lines += [f"  user       {signature.user_id}"] if signature.user_id else []
        lines += [f"  says made  {_moment(signature.created)}"] if signature.created else []
        lines.append(f"  kind       {signature.algorithm or '?'} with {signature.digest or '?'}")
    lines += [f"  {digest}  {path}" for path, digest in sorted((claim.artifacts or {}).items())]
    return "\n".join(escape.line(line) for line in lines)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _sentence(verdict: ReleaseVerdict, width: int | None, *, markup: bool) -> list[str]:
    sentence = f"{words.SENTENCES[verdict.outcome]} ({words.persons(verdict)})"
    colour = _COLOURS[verdict.outcome]
    lines = table.wrapped(sentence, width)
    return [f"\033[1;{colour}m{line}\033[0m" for line in lines] if markup else lines


def _reasons(verdict: ReleaseVerdict, width: int | None) -> list[str]:
    shown = [
        line
        for reason in verdict.reasons[:_REASONS]
        for line in table.wrapped(escape.line(reason), width, margin="  ")
    ]
    more = len(verdict.reasons) - _REASONS
    return [*shown, *([f"  and {more} more"] if more > 0 else [])]
