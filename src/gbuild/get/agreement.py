"""Which files of a release enough persons agree on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from gbuild.errors import AnswerIsNo, Untrusted, UsageFailure
from gbuild.host.keyring import Keyring
from gbuild.model.event import Event, Sink
from gbuild.model.policy import Person, Policy
from gbuild.model.verdict import Claim, Outcome, ReleaseVerdict
from gbuild.verify import keys
from gbuild.verify.checker import Checker, Witness
from gbuild.verify.counting import day
from gbuild.verify.judge import judge
from gbuild.verify.keys import KeySource
from gbuild.verify.places import releases
from gbuild.verify.release import Group, fill, groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asks for, of which tree and under which policy.

    ``package`` None means all of the release, ``only`` are globs over paths (none: every file),
    ``key_material`` are exported keys by their label.
    """

    release: str
    policy: Policy
    package: str | None = None
    only: tuple[str, ...] = ()
    keys: tuple[Path, ...] = ()
    key_material: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The verdicts, and what follows from them: ``files`` (sha256 by path) only when all agree.

    ``early`` is the error to raise when all is well, but not for long enough yet.
    """

    verdicts: tuple[ReleaseVerdict, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    early: Untrusted | None = None

    @property
    def trusted(self) -> bool:
        """Whether every package of the release passes, and has for long enough."""
        return self.early is None and _all_agree(self.verdicts)


def agreement(
    root: Path, wanted: Wanted, *, remote: bool, witness: Witness, now: int, sink: Sink
) -> Agreement:
    """Judge the release, twice when signatures must have a certain age.

    First whatever anybody signed counts, however new: a fresh contradiction is heard at once.
    Then only what is old enough counts.

    Raises:
        Untrusted: nobody signed the release.
        UsageFailure: nothing outside of a tree from the network says whose keys count.
        AnswerIsNo: two packages have different files of one name.
    """
    found = _claims(root, wanted, remote=remote, witness=witness, sink=sink)
    if not found:
        raise _nobody(root, wanted)
    verdicts = _judged(found, replace(wanted.policy, minimum_age=None), now)
    if not _all_agree(verdicts):
        return Agreement(verdicts=verdicts)
    if wanted.policy.minimum_age is not None:
        of_age = _judged(found, wanted.policy, now)
        if not _all_agree(of_age):
            return Agreement(verdicts=verdicts, early=_too_early(found, wanted, now))
        verdicts = of_age
    return Agreement(verdicts=verdicts, files=_files(verdicts))


def _nobody(root: Path, wanted: Wanted) -> Untrusted:
    there = releases(root)
    what = f"{wanted.package} of release" if wanted.package else "release"
    return Untrusted(
        f"nobody has signed {what} {wanted.release}",
        details=(f"releases there: {', '.join(there[-20:]) or 'none'}",),
        hint="--signatures names the folder that holds the releases",
    )


def _all_agree(verdicts: Sequence[ReleaseVerdict]) -> bool:
    return all(each.outcome is Outcome.AGREE for each in verdicts)


def _claims(
    root: Path, wanted: Wanted, *, remote: bool, witness: Witness, sink: Sink
) -> tuple[Group, ...]:
    source = key_source(root, wanted, remote=remote)
    with Keyring() as keyring:
        for problem in (*source.problems, *fill(keyring, source)):
            sink(Event("warning", problem))
        checker = Checker.of(keyring, source, witness=witness)
        found = groups(
            root,
            checker=checker,
            wanted=lambda place: place.release == wanted.release,
            name=wanted.package,
        )
        return tuple(
            replace(group, claims=tuple(_narrowed(group.claims, wanted.only)))
            for group in found
            if group.claims
        )


def key_source(root: Path, wanted: Wanted, *, remote: bool) -> KeySource:
    """Choose the keys: the person's own, else the tree's where its keeper is the person.

    Raises:
        UsageFailure: a tree from the network would vouch for itself.
    """
    if remote and not wanted.keys and not _names_keys(wanted.policy.persons):
        raise UsageFailure(
            "a tree of signatures from the network cannot say itself whose keys count",
            hint="--keys DIR, or --policy FILE with the fingerprints of every person",
        )
    given = [keys.from_bytes(label, data) for label, data in wanted.key_material.items()]
    if wanted.keys:
        given.append(keys.from_folders(wanted.keys))
    if not wanted.keys:
        given.append(keys.from_tree(root))
    return keys.joined(given)


def _names_keys(persons: Sequence[Person]) -> bool:
    return bool(persons) and all(person.keys for person in persons)


def _narrowed(claims: Sequence[Claim], only: Sequence[str]) -> Iterator[Claim]:
    """Leave to every claim the files that are asked for."""
    for claim in claims:
        if only and claim.artifacts is not None:
            kept = {
                p: d for p, d in claim.artifacts.items() if any(fnmatchcase(p, g) for g in only)
            }
            yield replace(claim, artifacts=kept)
        else:
            yield claim


def _judged(found: Sequence[Group], policy: Policy, now: int) -> tuple[ReleaseVerdict, ...]:
    return tuple(
        judge(group.release, group.name, group.claims, policy=policy, at=now) for group in found
    )


def _too_early(found: Sequence[Group], wanted: Wanted, now: int) -> Untrusted:
    """Say from when on there will be enough of age."""
    age = wanted.policy.minimum_age or 0
    moments = sorted({
        claim.evidence.seen + age for group in found for claim in group.claims if claim.evidence
    })  # fmt: skip
    for moment in moments:
        if moment > now and _all_agree(_judged(found, wanted.policy, moment)):
            left = (moment - now + 3599) // 3600
            return Untrusted(
                f"release {wanted.release} is good, but not known for long enough yet",
                details=(f"it will be on {day(moment)}, in about {left} hours",),
                hint="run the same command again then",
            )
    return Untrusted(f"release {wanted.release} is good, but not known for long enough yet")


def _files(verdicts: Sequence[ReleaseVerdict]) -> Mapping[str, str]:
    files: dict[str, str] = {}
    for verdict in verdicts:
        for entry in verdict.signers:
            for path, digest in (entry.claim.artifacts or {}).items() if entry.counted else ():
                if files.setdefault(path, digest) != digest:
                    raise AnswerIsNo(f"{path}: two packages have different files of this name")
    return dict(sorted(files.items()))
