"""Why a release passes or not, in sentences. The words are foreign in part: escape them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gbuild.model.policy import Policy
from gbuild.model.verdict import Comparison, Outcome, ReleaseVerdict, SignerVerdict, State
from gbuild.verify.policy import describe, enough, needed

_NAMED = 5
"""So many artefacts, inputs or packages are named in one sentence; of the rest the number."""

_ANSWERS: Mapping[Outcome, str] = {
    Outcome.AGREE: "passes",
    Outcome.MISMATCH: "does not pass: different files were signed",
    Outcome.UNTRUSTED: "does not pass: what was signed cannot be relied on",
}


def explain(verdict: ReleaseVerdict, policy: Policy) -> tuple[str, ...]:
    """Return the sentences, the answer first."""
    return (
        f"{verdict.name or '(no package)'} {verdict.release} {_ANSWERS[verdict.outcome]}.",
        *(f"Because of {reason}." for reason in verdict.reasons),
        f"Required: {describe(policy)}.",
        *_signers(verdict),
        *_artifacts(verdict, policy),
        *_copies(verdict),
        *_comparison("inputs", verdict.inputs, verdict),
        *_comparison("packages", verdict.packages, verdict),
    )


def _signers(verdict: ReleaseVerdict) -> Iterator[str]:
    if not verdict.signers:
        yield "Nobody signed it."
    for entry in verdict.signers:
        who = entry.claim.signer
        if entry.person not in {who, entry.claim.fingerprint, f"folder {who}"}:
            who = f"{who} (who is {entry.person})"
        if entry.counted:
            yield f"{who} counts: {_key(entry)}."
        else:
            yield f"{who} does not count: {entry.objection}."


def _key(entry: SignerVerdict) -> str:
    signature = entry.claim.signature
    if signature is None:
        return "no signature is asked for"
    user = f", {signature.user_id}" if signature.user_id else ""
    evidence = entry.claim.evidence
    seen = f", known since {evidence.source}" if evidence else ""
    words = f"a {entry.claim.status} signature"
    return f"{words} by the key {signature.fingerprint or signature.key_id}{user}{seen}"


def _artifacts(verdict: ReleaseVerdict, policy: Policy) -> Iterator[str]:
    """Say for every artefact who signed it alike, those with the same answer together."""
    votes = _votes(verdict)
    alike: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for path in sorted(votes):
        if len(votes[path]) > 1:
            yield _conflict(path, votes[path])
            continue
        ((_, persons),) = votes[path].items()
        rule = policy.rule(path)
        verb = "which is enough" if enough(rule, persons) else "which is not enough"
        alike[persons, f"{verb} ({needed(rule)})"].append(path)
    for (persons, words), paths in alike.items():
        who = persons[0] if len(persons) == 1 else f"{', '.join(persons)} alike"
        yield f"{_listed(paths)}: signed by {who}, {words}."
    yield from _absent(verdict, votes)


def _conflict(path: str, by_digest: Mapping[str, tuple[str, ...]]) -> str:
    sides = "; ".join(
        f"sha256 {digest[:12]}... by {', '.join(persons)}"
        for digest, persons in sorted(by_digest.items())
    )
    return f"{path}: different files were signed: {sides}."


def _absent(verdict: ReleaseVerdict, votes: Mapping[str, object]) -> Iterator[str]:
    """Say who built less: it is no contradiction, but it is why fewer persons vouch for a file."""
    for entry in verdict.signers:
        missing = [p for p, s in entry.states.items() if s is State.NOT_BUILT and p in votes]
        if entry.counted and missing:
            yield f"{entry.claim.signer} did not build {_listed(missing)}; that is no mismatch."


def _votes(verdict: ReleaseVerdict) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    votes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    called: dict[str, str] = {}
    for entry in verdict.signers:
        if entry.counted:
            nameless = entry.person in {"", entry.claim.fingerprint}
            who = called.setdefault(entry.person, entry.claim.signer if nameless else entry.person)
            for path, digest in (entry.claim.artifacts or {}).items():
                votes[path][digest].add(who)
    return {
        path: {digest: tuple(sorted(persons)) for digest, persons in by_digest.items()}
        for path, by_digest in votes.items()
    }


def _copies(verdict: ReleaseVerdict) -> Iterator[str]:
    told: set[frozenset[str]] = set()
    for entry in verdict.signers:
        group = frozenset({entry.claim.signer, *entry.same_record})
        if entry.same_record and group not in told:
            told.add(group)
            yield copied(sorted(group))


def copied(signers: Sequence[str]) -> str:
    """Say what it means that several persons signed one document."""
    return (
        f"{', '.join(signers)} signed the same document: not independent of each other, unless "
        "all of them built from one lock (nobody can tell from the outside)."
    )


def _comparison(what: str, comparison: Comparison, verdict: ReleaseVerdict) -> Iterator[str]:
    if comparison.same is None:
        return
    if comparison.same:
        yield f"All {comparison.compared} documents name the same {what}."
        return
    first = "; ".join(
        f"{each.what} ({_values(each.values)})" for each in comparison.differ[:_NAMED]
    )
    more = comparison.number - min(_NAMED, len(comparison.differ))
    rest = f"; and {more} more" if more else ""
    although = ", although the files agree" if verdict.outcome is Outcome.AGREE else ""
    yield f"The {what} differ in {comparison.number}{although}: {first}{rest}."


def _values(values: Mapping[str, Sequence[str]]) -> str:
    return " | ".join(f"{value}: {', '.join(signers)}" for value, signers in values.items())


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _NAMED
    shown = ", ".join(paths[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
