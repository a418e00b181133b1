"""Verdicts as text for a person: signers, a matrix of artefacts, the reasons."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gbuild.model.verdict import Outcome, State, Status
from gbuild.ui import escape, table
from gbuild.verify.meaning import meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gbuild.model.verdict import ReleaseVerdict, SignerVerdict

_SENTENCES = {
    Outcome.AGREE: "GOOD: everybody who counts signed the same files",
    Outcome.MISMATCH: "MISMATCH: different files were signed",
    Outcome.UNTRUSTED: "UNTRUSTED: what was signed cannot be relied on",
}
_COLOURS = {Outcome.AGREE: "32", Outcome.MISMATCH: "31", Outcome.UNTRUSTED: "31"}
_MARKS: Mapping[State | None, str] = {
    State.AGREE: "=",
    State.DIFFER: "X",
    State.NOT_BUILT: "-",
    State.EXTRA: "+",
    None: "",
}
_LEGEND = "=  the same   X  differs   -  not built by this signer   +  only this signer"
_REASONS = 20


def text(verdict: ReleaseVerdict, *, verbose: bool, markup: bool) -> str:
    """Return everything a person should see of one release, escaped, without a last newline."""
    parts = [escape.line(f"{verdict.name or '(no package)'} {verdict.release}")]
    if verdict.signers:
        parts.append(_signers(verdict))
    if verdict.artifacts and (verbose or not _unanimous(verdict)):
        parts.append(_matrix(verdict))
    if verbose:
        parts += [_details(entry) for entry in verdict.signers]
    parts.append("\n".join([_sentence(verdict, markup=markup), *_reasons(verdict)]))
    return "\n\n".join(parts)


def _signers(verdict: ReleaseVerdict) -> str:
    rows = [
        [str(number), entry.claim.signer, entry.claim.status, _agreement(entry), _remark(entry)]
        for number, entry in enumerate(verdict.signers, 1)
    ]
    return table.plain(["", "signer", "signature", "artefacts", ""], rows)


def _agreement(entry: SignerVerdict) -> str:
    if entry.claim.artifacts is None:
        return ""
    states = Counter(entry.states.values())
    return ", ".join(f"{states[state]} {state}" for state in State if states[state]) or "none"


def _remark(entry: SignerVerdict) -> str:
    claim = entry.claim
    if claim.status is Status.UNKNOWN_KEY and claim.signature:
        return f"no public key {claim.signature.key_id}"
    if claim.status is Status.GOOD:
        return claim.signature.user_id or "" if claim.signature else ""
    return meaning(claim) + ("" if entry.counted else "; not counted")


def _unanimous(verdict: ReleaseVerdict) -> bool:
    return all(state is State.AGREE for entry in verdict.signers for state in entry.states.values())


def _matrix(verdict: ReleaseVerdict) -> str:
    headers = ["artefact", *(str(number) for number, _ in enumerate(verdict.signers, 1))]
    rows = [
        [path, *(_MARKS[entry.states.get(path)] for entry in verdict.signers)]
        for path in verdict.artifacts
    ]
    return f"{table.plain(headers, rows)}\n{_LEGEND}"


def _details(entry: SignerVerdict) -> str:
    claim, signature = entry.claim, entry.claim.signature
    lines = [f"{claim.signer}: {meaning(claim)}"]
    if signature:
        lines.append(f"  key        {claim.fingerprint or signature.key_id or '(not named)'}")
        lines += [f"  user       {signature.user_id}"] if signature.user_id else []
        lines += [f"  says made  {_moment(signature.created)}"] if signature.created else []
        lines.append(f"  kind       {signature.algorithm or '?'} with {signature.digest or '?'}")
    lines += [f"  {digest}  {path}" for path, digest in sorted((claim.artifacts or {}).items())]
    return "\n".join(escape.line(line) for line in lines)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _sentence(verdict: ReleaseVerdict, *, markup: bool) -> str:
    people = "1 person counted" if verdict.persons == 1 else f"{verdict.persons} persons counted"
    sentence = f"{_SENTENCES[verdict.outcome]} ({people})"
    return f"\033[1;{_COLOURS[verdict.outcome]}m{sentence}\033[0m" if markup else sentence


def _reasons(verdict: ReleaseVerdict) -> list[str]:
    shown = [escape.line(f"  {reason}") for reason in verdict.reasons[:_REASONS]]
    more = len(verdict.reasons) - _REASONS
    return [*shown, *([f"  and {more} more"] if more > 0 else [])]
