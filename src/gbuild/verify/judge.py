"""The judge: claims and a policy in, a verdict out. No files, no clock, no surprise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gbuild.model.policy import Anyone, Policy, Rule
from gbuild.model.verdict import (
    Claim,
    Outcome,
    ReleaseVerdict,
    SignerVerdict,
    State,
)
from gbuild.verify import compare, counting
from gbuild.verify.meaning import meaning
from gbuild.verify.policy import enough, needed

_CONTESTED = ""
"""Stands for the digest of an artefact on which no majority exists; equals no digest."""

_NAMED = 3
"""So many artefacts of one fault are named; of the rest only the number."""

Votes = Mapping[str, Mapping[str, frozenset[str]]]
"""Path -> digest -> the persons who signed it."""


def judge(
    release: str,
    name: str,
    claims: Sequence[Claim],
    *,
    policy: Policy,
    compare_to: str | None = None,
    at: int | None = None,
) -> ReleaseVerdict:
    """Judge one release of one package. The order of the claims does not matter.

    Args:
        release: the release's folder.
        name: the package.
        claims: everything that was found.
        policy: who and what counts, and what is required.
        compare_to: hold everybody against this signer instead of against the majority.
        at: the moment to judge at (seconds since the epoch), for a policy with ages.
    """
    found = _Hearing.of(claims, policy, at)
    golden = _golden(found.claims, compare_to)
    reference = _reference(found, golden)
    conflicts = _conflicts(found, golden)
    distrust = (
        *_broken(found),
        *_distrust_golden(found, golden, compare_to),
        *_too_few(found),
    )
    voters = found.voters()
    return ReleaseVerdict(
        release=release,
        name=name,
        outcome=_outcome(distrust, conflicts),
        signers=tuple(found.judged(claim, _states(claim, reference)) for claim in found.claims),
        artifacts=tuple(sorted({path for claim in claims for path in claim.artifacts or ()})),
        persons=len({found.person(claim) for claim in found.counted}),
        reasons=(*distrust, *conflicts),
        inputs=compare.compare_inputs(voters),
        packages=compare.compare_packages(voters),
    )


@dataclass(frozen=True, slots=True)
class _Hearing:
    """The claims in one order, with who speaks and whether they count."""

    claims: Sequence[Claim]
    policy: Policy
    objections: Mapping[int, str]
    copies: Sequence[Sequence[Claim]]

    @classmethod
    def of(cls, claims: Sequence[Claim], policy: Policy, at: int | None) -> _Hearing:
        ordered = sorted(claims, key=_order)
        said = ((claim, counting.objection(claim, policy, at=at)) for claim in ordered)
        objections = {id(claim): words for claim, words in said if words}
        copies = counting.copies(ordered, policy)
        if not policy.copies:
            counted = [claim for claim in ordered if id(claim) not in objections]
            objections |= counting.without_copies(counted, copies, policy)
        return cls(ordered, policy, objections, copies)

    @property
    def counted(self) -> Sequence[Claim]:
        return [claim for claim in self.claims if id(claim) not in self.objections]

    def person(self, claim: Claim) -> str:
        return counting.speaker(claim, self.policy)

    def voters(self) -> Sequence[Claim]:
        """Return those who count; when nobody does, all that can be read."""
        return self.counted or [claim for claim in self.claims if claim.artifacts is not None]

    def votes(self, claims: Iterable[Claim]) -> Votes:
        votes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for claim in claims:
            person = self.person(claim)
            for path, digest in (claim.artifacts or {}).items():
                votes[path][digest].add(person)
        return {
            path: {digest: frozenset(persons) for digest, persons in by_digest.items()}
            for path, by_digest in votes.items()
        }

    def judged(self, claim: Claim, states: Mapping[str, State]) -> SignerVerdict:
        objection = self.objections.get(id(claim))
        same = {
            each.signer
            for group in self.copies
            for each in group
            if any(claim is member for member in group)
        }
        return SignerVerdict(
            claim=replace(claim, packages={}),  # compared: hundreds of lines nobody asks for again
            counted=objection is None,
            states=states,
            person=self.person(claim),
            objection=objection,
            same_record=tuple(sorted(same - {claim.signer})),
        )


def _order(claim: Claim) -> tuple[str, ...]:
    signature = claim.signature
    named = (signature.key_id or "", signature.fingerprint or "") if signature else ("", "")
    said = sorted((claim.artifacts or {}).items())
    return (claim.signer, claim.name, claim.status, *named, repr(said), claim.record or "")


def _outcome(distrust: Sequence[str], conflicts: Sequence[str]) -> Outcome:
    if distrust:
        return Outcome.UNTRUSTED
    return Outcome.MISMATCH if conflicts else Outcome.AGREE


def _golden(claims: Iterable[Claim], compare_to: str | None) -> Claim | None:
    return next(
        (claim for claim in claims if claim.signer == compare_to and claim.artifacts is not None),
        None,
    )


def _reference(found: _Hearing, golden: Claim | None) -> Mapping[str, str]:
    """Return what every artefact should be: the golden manifest, or what most persons signed.

    Without a claim that counts, all that can be read are held against each other. An artefact
    that only one of several persons lists is nobody's reference.
    """
    if golden is not None:
        return golden.artifacts or {}
    voters = found.voters()
    several = len({found.person(claim) for claim in voters}) > 1
    return {
        path: _majority(by_digest)
        for path, by_digest in found.votes(voters).items()
        if not several or len(frozenset().union(*by_digest.values())) > 1
    }


def _majority(by_digest: Mapping[str, frozenset[str]]) -> str:
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


def _conflicts(found: _Hearing, golden: Claim | None) -> tuple[str, ...]:
    """Name every artefact for which signers who count signed different bytes."""
    votes = found.votes([*found.counted, *([golden] if golden else [])])
    return tuple(
        f"{path}: {len(by_digest)} different files were signed"
        for path, by_digest in sorted(votes.items())
        if len(by_digest) > 1
    )


def _broken(found: _Hearing) -> tuple[str, ...]:
    return tuple(
        f"{claim.signer}: {meaning(claim)}"
        for claim in found.claims
        if claim.status in found.policy.broken
    )


def _distrust_golden(
    found: _Hearing, golden: Claim | None, compare_to: str | None
) -> tuple[str, ...]:
    if compare_to is None:
        return ()
    if golden is None:
        return (f"{compare_to}: no assertion to compare with",)
    objection = found.objections.get(id(golden))
    if objection is None or golden.status in found.policy.broken:
        return ()
    return (f"{compare_to}, to whom all are compared: {objection}",)


def _too_few(found: _Hearing) -> tuple[str, ...]:
    """Say where the persons who agree are not enough: for the release, then by artefact."""
    policy = found.policy
    counted = frozenset(found.person(claim) for claim in found.counted)
    if not policy.artifacts and not enough(policy.require, counted):
        return (_persons(policy.require, counted),)
    votes = found.votes(found.counted)
    if not votes:
        return ("no artefact is listed by anybody who counts",)
    return _thin(votes, policy)


def _persons(rule: Rule, counted: frozenset[str]) -> str:
    who = f" ({', '.join(sorted(counted))})" if counted and not isinstance(rule, Anyone) else ""
    need = str(rule.minimum) if isinstance(rule, Anyone) else needed(rule)
    return f"persons with a signature that counts: {len(counted)}{who}, {_need(rule, need)}"


def _need(rule: Rule, words: str) -> str:
    return f"{words} needed" if isinstance(rule, Anyone) else f"needed: {words}"


def _thin(votes: Votes, policy: Policy) -> tuple[str, ...]:
    """Name the artefacts that too few signed alike, those with the same fault in one sentence."""
    faults: dict[str, list[str]] = defaultdict(list)
    for path, by_digest in sorted(votes.items()):
        rule = policy.rule(path)
        if not any(enough(rule, persons) for persons in by_digest.values()):
            faults[_support(rule, by_digest)].append(path)
    return tuple(f"{_listed(paths)}: {words}" for words, paths in faults.items())


def _support(rule: Rule, by_digest: Mapping[str, frozenset[str]]) -> str:
    best = max(by_digest.values(), key=lambda persons: (len(persons), sorted(persons)))
    if isinstance(rule, Anyone):
        return f"signed alike by {len(best)}, {rule.minimum} needed"
    return f"signed alike by {', '.join(sorted(best))}, needed: {needed(rule)}"


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _NAMED
    shown = ", ".join(paths[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
