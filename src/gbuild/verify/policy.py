"""What a release needs to pass: small rules over statuses and persons."""

from __future__ import annotations

from dataclasses import dataclass

from gbuild.errors import UsageFailure
from gbuild.model.verdict import Claim, Status

BROKEN = frozenset(
    {
        Status.MISSING_ASSERTION,
        Status.MISSING_SIGNATURE,
        Status.UNREADABLE,
        Status.NOT_DETACHED,
        Status.BAD,
        Status.WRONG_NAME,
    }
)
"""Entries that contradict their own tree: somebody has to mend them, so a release cannot pass.

The rest (unknown, revoked or expired keys, weak signatures) says nothing to this reader and is
not counted, neither for nor against.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which entries count, which spoil a release, and how many persons every artefact needs."""

    persons: int = 1
    counted: frozenset[Status] = frozenset({Status.GOOD})
    broken: frozenset[Status] = BROKEN

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise UsageFailure("a release needs one person or more")

    def counts(self, claim: Claim) -> bool:
        """Say whether a claim counts; only what gpg itself called good ever does.

        (A signature whose digest gpg refuses to compute is weak too, and proves nothing.)
        """
        verified = claim.signature is not None and claim.signature.status is Status.GOOD
        return verified and claim.status in self.counted

    def describe(self) -> str:
        """Say in words what is required."""
        people = "1 person" if self.persons == 1 else f"{self.persons} persons"
        kinds = " or ".join(status for status in Status if status in self.counted)
        return (
            f"every artefact signed alike by {people} or more ({kinds} signatures count), "
            "no counted signer who differs, no broken entry"
        )


def default_policy(*, persons: int = 1, allow_weak: bool = False) -> Policy:
    """Return the policy of a person who wrote none."""
    weak = frozenset({Status.WEAK}) if allow_weak else frozenset()
    return Policy(persons=persons, counted=frozenset({Status.GOOD}) | weak)
