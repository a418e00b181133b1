"""Verdicts as the JSON document ``gbuild.gverify/1`` (docs/reference/schemas)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gbuild.model.verdict import Claim, Comparison, ReleaseVerdict, SignerVerdict, Status


def document(verdicts: Sequence[ReleaseVerdict], *, required: str) -> Mapping[str, object]:
    """Return everything but ``format``. ``required`` is the policy in words."""
    claims = [entry.claim for verdict in verdicts for entry in verdict.signers]
    return {
        "required": required,
        "releases": [_release(verdict) for verdict in verdicts],
        "totals": totals(claims),
        "statuses": _count(claim.status for claim in claims),
        "verdicts": dict(sorted(Counter(verdict.outcome.value for verdict in verdicts).items())),
    }


def totals(claims: Iterable[Claim]) -> Mapping[str, int]:
    """Count every entry by what the files and gpg alone say of it.

    That is what anybody can count without gbuild: it does not depend on what a document calls
    itself, nor on which algorithms are called weak.
    """
    return _count(fact(claim) for claim in claims)


def fact(claim: Claim) -> Status:
    """Return what gpg says of an entry, or what is missing for it to say anything."""
    return claim.signature.status if claim.signature else claim.status


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
        "inputs": _comparison(verdict.inputs),
        "packages": _comparison(verdict.packages),
    }


def _signer(entry: SignerVerdict) -> Mapping[str, object]:
    claim = entry.claim
    signature = claim.signature
    return {
        "signer": claim.signer,
        "place": claim.place,
        "status": claim.status.value,
        "fingerprint": claim.fingerprint,
        "person": entry.person,
        "counted": entry.counted,
        "objection": entry.objection,
        "signature": signature.status.value if signature else None,
        "key": signature.key_id if signature else None,
        "user": signature.user_id if signature else None,
        "weaknesses": list(signature.weaknesses) if signature else [],
        "problem": claim.problem,
        "evidence": _evidence(claim),
        "notes": list(claim.notes),
        "same_record": list(entry.same_record),
        "artifacts": {path: state.value for path, state in entry.states.items()},
    }


def _evidence(claim: Claim) -> Mapping[str, object] | None:
    found = claim.evidence
    return None if found is None else {"seen": found.seen, "source": found.source}


def _comparison(comparison: Comparison) -> Mapping[str, object]:
    return {
        "compared": comparison.compared,
        "same": comparison.same,
        "number": comparison.number,
        "differ": [
            {"what": each.what, "values": {v: list(who) for v, who in each.values.items()}}
            for each in comparison.differ
        ],
    }
