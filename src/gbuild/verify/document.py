"""Verdicts as the JSON document ``gbuild.gverify/1`` (docs/reference/schemas)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gbuild.model.verdict import ReleaseVerdict, SignerVerdict, Status


def document(verdicts: Sequence[ReleaseVerdict], *, required: str) -> Mapping[str, object]:
    """Return everything but ``format``. ``required`` is the policy in words."""
    entries = [entry for verdict in verdicts for entry in verdict.signers]
    return {
        "required": required,
        "releases": [_release(verdict) for verdict in verdicts],
        "totals": _count(entry.claim.status for entry in entries),
        "signatures": _count(
            entry.claim.signature.status for entry in entries if entry.claim.signature
        ),
    }


def _count(statuses: Iterable[Status]) -> Mapping[str, int]:
    counted = Counter(statuses)
    return {status.value: counted[status] for status in Status if counted[status]}


def _release(verdict: ReleaseVerdict) -> Mapping[str, object]:
    return {
        "release": verdict.release,
        "name": verdict.name,
        "verdict": verdict.outcome.value,
        "persons": verdict.persons,
        "reasons": list(verdict.reasons),
        "signers": [_signer(entry) for entry in verdict.signers],
    }


def _signer(entry: SignerVerdict) -> Mapping[str, object]:
    claim = entry.claim
    signature = claim.signature
    return {
        "signer": claim.signer,
        "status": claim.status.value,
        "fingerprint": claim.fingerprint,
        "counted": entry.counted,
        "signature": signature.status.value if signature else None,
        "key": signature.key_id if signature else None,
        "user": signature.user_id if signature else None,
        "weaknesses": list(signature.weaknesses) if signature else [],
        "problem": claim.problem,
        "artifacts": {path: state.value for path, state in entry.states.items()},
    }
