"""What every view says of a verdict, as plain words; each view escapes them for its medium."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from gbuild.model.verdict import Comparison, Outcome, ReleaseVerdict, SignerVerdict, State, Status
from gbuild.verify.meaning import meaning

SENTENCES: Mapping[Outcome, str] = {
    Outcome.AGREE: "GOOD: everybody who counts signed the same files",
    Outcome.MISMATCH: "MISMATCH: different files were signed",
    Outcome.UNTRUSTED: "UNTRUSTED: what was signed cannot be relied on",
}
MARKS: Mapping[State | None, str] = {
    State.AGREE: "=",
    State.DIFFER: "X",
    State.NOT_BUILT: "-",
    State.EXTRA: "+",
    None: "",
}
LEGEND: Mapping[State, str] = {
    State.AGREE: "the same",
    State.DIFFER: "differs",
    State.NOT_BUILT: "not built by this signer",
    State.EXTRA: "only this signer",
}


def package(verdict: ReleaseVerdict) -> str:
    """Name the package; a release of which no entry could be named has none."""
    return verdict.name or "(no package)"


def persons(verdict: ReleaseVerdict) -> str:
    """Say how many persons were counted."""
    return "1 person counted" if verdict.persons == 1 else f"{verdict.persons} persons counted"


def agreement(entry: SignerVerdict) -> str:
    """Sum up what an entry says of the artefacts: ``12 agree, 1 differ``."""
    if entry.claim.artifacts is None:
        return ""
    states = Counter(entry.states.values())
    return ", ".join(f"{states[state]} {state}" for state in State if states[state]) or "none"


def remark(entry: SignerVerdict) -> str:
    """Say who signed, or why the entry does not count."""
    claim = entry.claim
    if claim.status is Status.UNKNOWN_KEY and claim.signature:
        return f"no public key {claim.signature.key_id}"
    copied = f"same document as {', '.join(entry.same_record)}" if entry.same_record else ""
    user = claim.signature.user_id or "" if claim.signature else ""
    if entry.objection is None:
        aside = meaning(claim) if claim.status is not Status.GOOD else ""
        return "; ".join(filter(None, (user, aside, copied)))
    return "; ".join(filter(None, (entry.objection, copied, "not counted")))


def unanimous(verdict: ReleaseVerdict) -> bool:
    """Say whether all entries agree on all artefacts, so that a matrix would tell nothing."""
    return all(state is State.AGREE for entry in verdict.signers for state in entry.states.values())


def compared(what: str, comparison: Comparison) -> str | None:
    """Sum up whether inputs, or packages, are the same; None when nothing could be compared."""
    if comparison.same is None:
        return None
    if comparison.same:
        return f"{what}: the same in all {comparison.compared} documents"
    return f"{what}: {comparison.number} differ among {comparison.compared} documents"


def comparisons(verdict: ReleaseVerdict) -> Sequence[str]:
    """Sum up both comparisons."""
    said = (compared("inputs", verdict.inputs), compared("packages", verdict.packages))
    return [each for each in said if each]


def counts(verdicts: Sequence[ReleaseVerdict]) -> Mapping[str, int]:
    """Count the releases by outcome, in the order of the outcomes; absent ones are left out."""
    counted = Counter(verdict.outcome for verdict in verdicts)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


def statuses(verdicts: Sequence[ReleaseVerdict]) -> Mapping[str, int]:
    """Count the entries by status, best first."""
    counted = Counter(entry.claim.status for each in verdicts for entry in each.signers)
    return {status.value: counted[status] for status in reversed(Status) if counted[status]}


def several(counted: Mapping[str, int], noun: str) -> str:
    """Write counts as ``3 releases: 2 agree, 1 untrusted``."""
    total = sum(counted.values())
    nouns = noun if total == 1 else f"{noun.removesuffix('y')}{'ies' if noun[-1] == 'y' else 's'}"
    parts = ", ".join(f"{number} {word}" for word, number in counted.items())
    return f"{total} {nouns}: {parts}" if parts else f"0 {nouns}"


def path(text: str) -> str:
    """Show a path; one that is not ASCII also spelled out, as letters may look alike."""
    return text if text.isascii() else f"{text} ({text.encode('unicode_escape').decode()})"


def signed_by(verdict: ReleaseVerdict, artifact: str, digest: str) -> Sequence[str]:
    """Name the entries that say this digest, those that do not count in brackets."""
    return [
        entry.claim.signer if entry.counted else f"({entry.claim.signer})"
        for entry in verdict.signers
        if (entry.claim.artifacts or {}).get(artifact) == digest
    ]


def agreed(verdict: ReleaseVerdict) -> Mapping[str, str]:
    """Return the digests of the artefacts that nobody who counts contests, by path."""
    said: dict[str, set[str]] = {}
    for entry in verdict.signers:
        if entry.counted:
            for artifact, digest in (entry.claim.artifacts or {}).items():
                said.setdefault(artifact, set()).add(digest)
    return {each: digest for each in sorted(said) for digest in said[each] if len(said[each]) == 1}


def letters(verdict: ReleaseVerdict) -> Mapping[str, Mapping[str, str]]:
    """Name the different files of every contested artefact: path -> digest -> ``A``, ``B``, ..."""
    return {path: own for path, own in _named(verdict) if len(own) > 1}


def _named(verdict: ReleaseVerdict) -> Iterator[tuple[str, Mapping[str, str]]]:
    for path in verdict.artifacts:
        signed = Counter(
            digest
            for entry in verdict.signers
            if (digest := (entry.claim.artifacts or {}).get(path)) is not None
        )
        ordered = sorted(signed, key=lambda digest: (-signed[digest], digest))
        yield path, {digest: _letter(number) for number, digest in enumerate(ordered)}


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"#{number + 1}"
