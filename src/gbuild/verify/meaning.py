"""What a status means, in words."""

from __future__ import annotations

from collections.abc import Mapping

from gbuild.model.verdict import Claim, Status

_MEANINGS: Mapping[Status, str] = {
    Status.MISSING_ASSERTION: "a signature without its assertion",
    Status.MISSING_SIGNATURE: "an assertion without a signature",
    Status.UNREADABLE: "the entry cannot be read",
    Status.NOT_DETACHED: "the signature carries its own text instead of signing the assertion",
    Status.BAD: "BAD SIGNATURE: the assertion is not what was signed",
    Status.UNKNOWN_KEY: "signed by a key that is not in the keyring",
    Status.REVOKED_KEY: "signed by a key that was revoked",
    Status.EXPIRED_KEY: "signed by a key that has expired",
    Status.EXPIRED_SIGNATURE: "the signature has expired",
    Status.WRONG_NAME: "signed for another release or package",
    Status.WEAK: "the signature is too weak",
    Status.GOOD: "a good signature",
}


def meaning(claim: Claim) -> str:
    """Say in words what a claim's status means, with the detail that is known."""
    weak = claim.signature.weaknesses if claim.signature else ()
    detail = ", ".join(weak) if claim.status is Status.WEAK else claim.problem
    return _MEANINGS[claim.status] + (f" ({detail})" if detail else "")
