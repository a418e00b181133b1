"""The judge: claims and a policy in, a verdict out. No files, no clock, no surprise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gbuild.model.verdict import (
    Claim,
    Outcome,
    ReleaseVerdict,
    SignerVerdict,
    State,
    Status,
)
from gbuild.verify.policy import Policy

_CONTESTED = ""
"""Stands for the digest of an artefact on which no majority exists; equals no digest."""

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


def judge(
    release: str,
    name: str,
    claims: Sequence[Claim],
    *,
    policy: Policy,
    compare_to: str | None = None,
) -> ReleaseVerdict:
    """Judge one release of one package. The order of the claims does not matter.

    Args:
        release: the release's folder.
        name: the package.
        claims: everything that was found.
        policy: what counts and what is required.
        compare_to: hold everybody against this signer instead of against the majority.
    """
    claims = sorted(claims, key=lambda claim: (claim.signer, claim.name))
    counted = [claim for claim in claims if policy.counts(claim)]
    golden = _golden(claims, compare_to)
    reference = _reference(counted, claims, golden if compare_to else None)
    conflicts = _conflicts(counted, golden)
    distrust = (
        *_broken(claims, policy),
        *_distrust_golden(golden, compare_to, policy),
        *_too_few(counted, policy),
    )
    return ReleaseVerdict(
        release=release,
        name=name,
        outcome=_outcome(distrust, conflicts),
        signers=tuple(
            SignerVerdict(
                claim=claim,
                counted=claim.status in policy.counted,
                states=_states(claim, reference),
            )
            for claim in claims
        ),
        artifacts=tuple(sorted({path for claim in claims for path in claim.artifacts or ()})),
        persons=len({_person(claim) for claim in counted}),
        reasons=(*distrust, *conflicts),
    )


def _outcome(distrust: Sequence[str], conflicts: Sequence[str]) -> Outcome:
    if distrust:
        return Outcome.UNTRUSTED
    return Outcome.MISMATCH if conflicts else Outcome.AGREE


def _person(claim: Claim) -> str:
    """Who speaks: the primary key, so that two folders of one key are one person."""
    return claim.fingerprint or f"folder {claim.signer}"


def _golden(claims: Iterable[Claim], compare_to: str | None) -> Claim | None:
    return next(
        (claim for claim in claims if claim.signer == compare_to and claim.artifacts is not None),
        None,
    )


def _reference(
    counted: Sequence[Claim], claims: Sequence[Claim], golden: Claim | None
) -> Mapping[str, str]:
    """Return what every artefact should be: the golden manifest, or what most persons signed.

    Without a claim that counts, all that can be read are held against each other. An artefact
    that only one of several persons lists is nobody's reference.
    """
    if golden is not None:
        return golden.artifacts or {}
    voters = counted or [claim for claim in claims if claim.artifacts is not None]
    several = len({_person(claim) for claim in voters}) > 1
    votes = _votes(voters)
    return {
        path: _majority(by_digest)
        for path, by_digest in votes.items()
        if not several or len(set().union(*by_digest.values())) > 1
    }


def _votes(claims: Iterable[Claim]) -> dict[str, dict[str, set[str]]]:
    """Return path -> digest -> the persons who signed it."""
    votes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for claim in claims:
        for path, digest in (claim.artifacts or {}).items():
            votes[path][digest].add(_person(claim))
    return votes


def _majority(by_digest: Mapping[str, set[str]]) -> str:
    most = max(len(persons) for persons in by_digest.values())
    leaders = [digest for digest, persons in by_digest.items() if len(persons) == most]
    return leaders[0] if len(leaders) == 1 else _CONTESTED


def _states(claim: Claim, reference: Mapping[str, str]) -> Mapping[str, State]:
    if claim.artifacts is None:
        return {}
    own = claim.artifacts
    return {path: _state(own.get(path), reference.get(path)) for path in sorted({*own, *reference})}


def _state(own: str | None, expected: str | None) -> State:
    if own is None:
        return State.NOT_BUILT
    if expected is None:
        return State.EXTRA
    return State.AGREE if own == expected else State.DIFFER


def _conflicts(counted: Sequence[Claim], golden: Claim | None) -> tuple[str, ...]:
    """Name every artefact for which signers who count signed different bytes."""
    votes = _votes([*counted, *([golden] if golden else [])])
    return tuple(
        f"{path}: {len(by_digest)} different files were signed"
        for path, by_digest in sorted(votes.items())
        if len(by_digest) > 1
    )


def _broken(claims: Iterable[Claim], policy: Policy) -> tuple[str, ...]:
    return tuple(
        f"{claim.signer}: {meaning(claim)}" for claim in claims if claim.status in policy.broken
    )


def _distrust_golden(
    golden: Claim | None, compare_to: str | None, policy: Policy
) -> tuple[str, ...]:
    if compare_to is None:
        return ()
    if golden is None:
        return (f"{compare_to}: no assertion to compare with",)
    if not policy.counts(golden) and golden.status not in policy.broken:
        return (f"{compare_to}, to whom all are compared: {meaning(golden)}",)
    return ()


def _too_few(counted: Sequence[Claim], policy: Policy) -> tuple[str, ...]:
    """Say where fewer persons than required agree: for the release, then for an artefact."""
    persons = len({_person(claim) for claim in counted})
    need = f"{policy.persons} needed"
    if persons < policy.persons:
        return (f"persons with a signature that counts: {persons}, {need}",)
    votes = _votes(counted)
    if not votes:
        return ("no artefact is listed by anybody who counts",)
    support = {path: max(map(len, votes[path].values())) for path in votes}
    return tuple(
        f"{path}: signed alike by {support[path]}, {need}"
        for path in sorted(support)
        if support[path] < policy.persons
    )
