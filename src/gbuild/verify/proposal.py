"""Check a proposed change of a tree of signatures, from a repository, without a checkout.

Keys, ``signers.yml`` and policy are those of the commit that the change is proposed for; the
proposed files are read as objects into an empty folder and judged there. git never looks at a
work tree, and nothing that is proposed is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.git import objects
from gbuild.host.git.command import Git
from gbuild.host.keyring import Keyring
from gbuild.model import sigs_layout
from gbuild.model.policy import Policy
from gbuild.model.verdict import Bound, ReleaseVerdict, SignerVerdict, State, Status
from gbuild.verify import keys
from gbuild.verify.change import Proposed, Review, review
from gbuild.verify.checker import Checker
from gbuild.verify.judge import judge
from gbuild.verify.key_update import new_claims
from gbuild.verify.key_update import problems as key_problems
from gbuild.verify.meaning import meaning
from gbuild.verify.release import fill, groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Two commits: what is there, and what is proposed."""

    base: str
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What was found of a proposed change.

    ``untrusted`` are entries whose signature does not count, ``problems`` what the rules refuse,
    ``notes`` what a maintainer must look at, the ``claims`` of keys among it, ``differences``
    where a good signer disagrees with others: those are shown and refuse nothing, because whoever
    got other bytes must be heard.
    """

    review: Review
    verdicts: tuple[ReleaseVerdict, ...]
    problems: tuple[str, ...]
    untrusted: tuple[str, ...]
    differences: tuple[str, ...]
    claims: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a maintainer must look at."""
        return (*self.review.notes, *self.claims)

    @property
    def accepted(self) -> bool:
        """Whether the change may be merged without a person looking at it."""
        return not (self.problems or self.untrusted or self.notes)


def proposed_range(git: Git, text: str) -> Range:
    """Read ``BASE..HEAD``; the change is what HEAD adds to where the two histories part.

    Raises:
        UsageFailure: that is no range of this repository.
    """
    before, dots, after = text.partition("..")
    if not dots or not before or not after or after.startswith("."):
        raise UsageFailure(f"{text!r} is no range of commits", hint="write BASE..HEAD")
    return Range(base=objects.commit_id(git, before), head=objects.commit_id(git, after))


def check(git: Git, commits: Range, *, policy: Policy, signer: str | None = None) -> Proposal:
    """Check a proposed change.

    Args:
        git: the repository.
        commits: what is there and what is proposed.
        policy: the policy of the base; it judges the releases that are touched.
        signer: whose change it must be, when that is known.

    Raises:
        UsageFailure: the base's ``signers.yml`` is wrong, or something is too large to be honest.
    """
    start = objects.merge_base(git, commits.base, commits.head)
    changed = objects.changes(git, start, commits.head)
    head = objects.files(git, commits.head)
    found = review(
        [Proposed(path=each.path, status=each.status, mode=each.mode) for each in changed],
        present=[file.path for file in head],
        signer=signer,
    )
    if found.problems:  # what breaks the rules is not read any further
        return Proposal(
            review=found, verdicts=(), problems=found.problems, untrusted=(), differences=()
        )
    added = frozenset(each.path for each in changed)
    verdicts = _verdicts(git, commits, found, head, policy) if found.releases else ()
    own = [each for verdict in verdicts for each in verdict.signers if _is_new(each, added)]
    updates = tuple(_key_updates(git, changed, commits))
    return Proposal(
        review=found,
        verdicts=verdicts,
        problems=tuple(f"{u.path}: {each}" for u in updates for each in u.problems),
        claims=tuple(each for update in updates for each in _claims(update)),
        untrusted=(*_untrusted(own), *_alone(found, own)),
        differences=tuple(_differences(own)),
    )


def _verdicts(
    git: Git, commits: Range, found: Review, head: Sequence[objects.TreeFile], policy: Policy
) -> tuple[ReleaseVerdict, ...]:
    """Judge the touched releases as they would be, with what the base knows."""
    with tempfile.TemporaryDirectory(prefix="gbuild-proposal-") as folder:
        base, proposed = Path(folder, "base"), Path(folder, "proposed")
        for place in (base, proposed):
            place.mkdir()
        objects.write(git, _deciding(objects.files(git, commits.base)), base)
        touched = [f for f in head if f.path.startswith(tuple(f"{r}/" for r in found.releases))]
        objects.write(git, touched, proposed)
        source = keys.from_tree(base)
        with Keyring() as keyring:
            fill(keyring, source)
            checker = Checker.of(keyring, source)
            return tuple(
                judge(group.release, group.name, group.claims, policy=policy)
                for group in groups(proposed, checker=checker)
            )


def _deciding(files: Iterable[objects.TreeFile]) -> list[objects.TreeFile]:
    """Return the key files and rules at the top of a tree."""
    return [
        file
        for file in files
        if file.path in sigs_layout.RULE_FILES
        or (file.path.count("/") == 1 and file.path.split("/")[0] in sigs_layout.KEY_FOLDERS)
    ]


def _is_new(entry: SignerVerdict, added: frozenset[str]) -> bool:
    return any(path.startswith(f"{entry.claim.place}/") for path in added)


def _untrusted(own: Iterable[SignerVerdict]) -> Iterator[str]:
    for entry in own:
        if entry.claim.status is not Status.GOOD:
            yield f"{entry.claim.signer}, {entry.claim.name}: {meaning(entry.claim)}"
        elif entry.claim.bound is not Bound.OWN:
            yield f"{entry.claim.signer}: no key in the base is bound to this folder"


def _alone(found: Review, own: Sequence[SignerVerdict]) -> tuple[str, ...]:
    """Refuse added files that no entry was read from: what is not judged must not slip in."""
    judged = {entry.claim.place.rpartition("/")[0] for entry in own}
    missing = [release for release in found.releases if release not in judged]
    return tuple(f"{release}: no entry could be read from what was added" for release in missing)


def _differences(own: Iterable[SignerVerdict]) -> Iterator[str]:
    for entry in own:
        wrong = [path for path, state in entry.states.items() if state is State.DIFFER]
        if wrong:
            claim = entry.claim
            yield f"{claim.signer}, {claim.release}: other bytes than most in {', '.join(wrong)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Update:
    """A key file that changes; ``before`` is None when it is new."""

    path: str
    before: bytes | None
    after: bytes

    @property
    def problems(self) -> tuple[str, ...]:
        return key_problems(self.before, self.after)


def _key_updates(git: Git, changed: Sequence[objects.Change], commits: Range) -> Iterator[_Update]:
    """Read every changed key file, as it is in the base and as it is proposed."""
    known = {file.path: file for file in objects.files(git, commits.base)}
    proposed = {file.path: file for file in objects.files(git, commits.head)}
    for change in changed:
        if _is_key_file(change.path) and change.path in proposed:
            before = known.get(change.path)
            wanted = [proposed[change.path], *([before] if before else [])]
            data = [content for _, content in objects.contents(git, wanted)]
            yield _Update(path=change.path, before=data[1] if before else None, after=data[0])


def _claims(update: _Update) -> Iterator[str]:
    """Say what a key file newly claims to be: only a person can know whether it is true."""
    if update.before is None:
        yield f"{update.path}: a new key; a maintainer must look whose it is"
        return
    for user_id in new_claims(update.before, update.after):
        yield f"{update.path}: it newly claims to be {user_id!r}; a maintainer must look at it"


def _is_key_file(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    inside = folder.split("/")[-1] in sigs_layout.KEY_FOLDERS
    return inside and name.endswith(sigs_layout.KEY_SUFFIXES)
