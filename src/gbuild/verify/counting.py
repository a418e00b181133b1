"""Who speaks through an entry, and whether it counts under a policy; if not, why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from gbuild.model.policy import Person, Policy
from gbuild.model.verdict import Claim, Status
from gbuild.verify.meaning import meaning
from gbuild.verify.policy import duration

_CLOCKS = 86_400
"""Seconds by which a signer's clock may be ahead."""


def speaker(claim: Claim, policy: Policy) -> str:
    """Name the person behind an entry, so that two keys or two folders of one are one person.

    The policy's name comes first, then that under which the tree's binding counts the key, then
    the primary key; what nobody vouches for speaks as its folder.
    """
    person = named(claim, policy)
    if person is not None:
        return person.name
    return claim.circle or claim.person or claim.fingerprint or f"folder {claim.signer}"


def named(claim: Claim, policy: Policy) -> Person | None:
    """Return the person of the policy whose key this is."""
    for person in policy.persons:
        if claim.fingerprint in person.keys if person.keys else claim.person == person.name:
            return person
    return None


def objection(claim: Claim, policy: Policy, *, at: int | None) -> str | None:
    """Say why an entry does not count, or return None when it does."""
    return (
        _of_status(claim, policy)
        or _of_strength(claim, policy)
        or _of_person(claim, policy)
        or _of_date(claim, at)
        or _of_age(claim, policy, at)
    )


def _of_status(claim: Claim, policy: Policy) -> str | None:
    signature = claim.signature
    if signature is None or claim.artifacts is None:
        return meaning(claim)
    if claim.status in {Status.GOOD, Status.WEAK} and signature.status is Status.GOOD:
        return None
    if claim.status is not Status.EXPIRED_KEY or not policy.expired:
        return meaning(claim)
    return _of_expiry(claim)


def _of_expiry(claim: Claim) -> str | None:
    """An expired key counts when others saw the entry in time; its own date proves nothing."""
    if Status.WRONG_NAME in claim.findings:
        return "signed by a key that has expired, for another release or package"
    expires = claim.signature.key_expires if claim.signature else None
    if claim.evidence is None or expires is None:
        return "signed by a key that has expired, without outside evidence of when"
    if claim.evidence.seen >= expires:
        return (
            f"signed by a key that expired on {day(expires)}, "
            f"first seen on {day(claim.evidence.seen)} ({claim.evidence.source})"
        )
    return None


def _of_strength(claim: Claim, policy: Policy) -> str | None:
    found = claim.signature.weaknesses if claim.signature else ()
    if claim.status is Status.WEAK and not found:
        found = ("nobody says why",)
    refused = [each for each in found if not any(fnmatchcase(each, ok) for ok in policy.weak)]
    return f"the signature is too weak ({', '.join(refused)})" if refused else None


def _of_person(claim: Claim, policy: Policy) -> str | None:
    if not policy.persons:
        return None
    person = named(claim, policy)
    if person is None:
        return "signed by somebody whom the policy does not name"
    if person.signers and claim.signer not in person.signers:
        return f"signed by {person.name}, who may not sign in this folder"
    return None


def _of_date(claim: Claim, at: int | None) -> str | None:
    """What says of itself that it came later was not there at that moment."""
    created = claim.signature.created if claim.signature else None
    if created is None or at is None or created <= at + _CLOCKS:
        return None
    return f"made on {day(created)}, after the moment that is judged at"


def _of_age(claim: Claim, policy: Policy, at: int | None) -> str | None:
    """Judge ages: the youngest that an entry can be proven to be, and the oldest it says it is."""
    seen = claim.evidence.seen if claim.evidence else None
    created = claim.signature.created if claim.signature else None
    if policy.minimum_age is not None and (
        seen is None or at is None or at - seen < policy.minimum_age
    ):
        known = "no outside evidence of its age" if seen is None else f"first seen on {day(seen)}"
        return f"not known for {duration(policy.minimum_age)} yet ({known})"
    if policy.maximum_age is not None:
        oldest = min((each for each in (seen, created) if each is not None), default=None)
        if oldest is None or at is None or at - oldest > policy.maximum_age:
            since = "without a date" if oldest is None else f"made on {day(oldest)}"
            return f"older than {duration(policy.maximum_age)} ({since})"
    return None


def day(seconds: int) -> str:
    """Return the date of a moment (seconds since the epoch), or the number when it has none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"


def copies(claims: Iterable[Claim], policy: Policy) -> tuple[tuple[Claim, ...], ...]:
    """Return the groups of entries of several persons that say the same, byte for byte.

    The first of a group is the one that was there first, as far as anything tells.
    """
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        if claim.record is not None:
            groups.setdefault(claim.record, []).append(claim)
    return tuple(
        tuple(sorted(group, key=_first_there))
        for group in groups.values()
        if len({speaker(claim, policy) for claim in group}) > 1
    )


def _first_there(claim: Claim) -> tuple[int, int, str]:
    never = 1 << 62
    seen = claim.evidence.seen if claim.evidence else never
    created = claim.signature.created if claim.signature else None
    return (seen, never if created is None else created, claim.signer)


def without_copies(
    counted: Sequence[Claim], groups: Iterable[Sequence[Claim]], policy: Policy
) -> dict[int, str]:
    """Return, by identity, why those who signed a copy do not count beside the first of them."""
    refused: dict[int, str] = {}
    by_identity = {id(claim) for claim in counted}
    for group in groups:
        present = [claim for claim in group if id(claim) in by_identity]
        for claim in present[1:]:
            if speaker(claim, policy) != speaker(present[0], policy):
                refused[id(claim)] = f"a copy of what {present[0].signer} signed"
    return refused
