"""What gverify judges: the trees, the releases in them, the keys, the policy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.cli._asked import is_glob
from gbuild.errors import Untrusted, UsageFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gbuild.cli._session import Session
    from gbuild.model.policy import Policy
    from gbuild.model.verdict import ReleaseVerdict
    from gbuild.verify.checker import Witness
    from gbuild.verify.keys import KeySource
    from gbuild.verify.places import Place
    from gbuild.verify.release import Checker

_MOST = 20_000
"""Packages below ``sigs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that was asked, checked as far as it can be without reading a tree.

    ``at`` is the moment to judge at, None for now; ``since`` leaves out what is all older;
    ``witness`` finds outside evidence of when a signature existed.
    """

    release: str | None
    name: str | None
    roots: tuple[Path, ...]
    policy: Policy
    compare_to: str | None = None
    keys: tuple[Path, ...] = ()
    default_keyring: bool = False
    at: int | None = None
    since: int | None = None
    witness: Witness | None = None

    @property
    def whole(self) -> bool:
        """Whether many releases are asked for."""
        return self.release is None or is_glob(self.release)

    @property
    def title(self) -> str:
        """What to call the trees: the folder that a person knows them by."""
        known = [r.parent if r.name == "sigs" else r for r in self.roots]
        return ", ".join(dict.fromkeys(each.name or str(each) for each in known)) or "sigs"

    def wants(self, release: str) -> bool:
        """Say whether a release is asked for."""
        if self.release is None:
            return True
        return fnmatchcase(release, self.release) if self.whole else release == self.release


def roots(session: Session, name: str | None, destination: Path | None) -> tuple[Path, ...]:
    """Return the trees to look in; every one holds ``<release>/<signer>/``."""
    if destination is not None:
        if not destination.is_dir():
            raise UsageFailure(
                f"there is no folder {destination}", hint="-d names a tree of signatures"
            )
        return (destination.absolute(),)
    from gbuild.model import sigs_layout

    sigs = session.workspace / "sigs"
    if name is not None:
        return (sigs / name,)
    from gbuild.host.foreign import opened

    if not sigs.is_dir():
        return ()
    with opened(sigs) as folder:
        packages = [each for each in folder.names(limit=_MOST) if folder.is_folder(each)]
    return tuple(
        sigs / each
        for each in packages
        if not each.startswith(".") and each not in sigs_layout.KEY_FOLDERS
    )


def judged(session: Session, question: Question) -> list[ReleaseVerdict]:
    """Judge every release that is asked for, in the order of trees, releases and packages.

    Raises:
        Untrusted: nobody signed any of them.
    """
    found = [verdict for root in question.roots for verdict in _tree(session, root, question)]
    if not found:
        raise _nothing(question)
    since = question.since
    return found if since is None else [each for each in found if _is_since(each, since)]


def _tree(session: Session, root: Path, question: Question) -> Iterator[ReleaseVerdict]:
    """Judge the releases of one tree; nothing when it has none of them."""
    from gbuild.host.keyring import Keyring
    from gbuild.model.event import Event
    from gbuild.verify.release import Checker, fill

    if not (chosen := _chosen(root, question)):
        return
    source = _key_source(session, root, question)
    with Keyring(at=question.at) as keyring:
        for problem in (*source.problems, *fill(keyring, source)):
            session.sink(Event("warning", problem))
        checker = Checker.of(keyring, source, witness=question.witness)
        session.sink(Event("info", _about_keys(source, checker)))
        yield from _verdicts(root, chosen, question, checker)


def _chosen(root: Path, question: Question) -> Sequence[Place]:
    """Return where the releases lie that are asked for."""
    from gbuild.verify.places import of_release, places

    if not root.is_dir():
        return ()
    if question.release is None or question.whole:
        return [place for place in places(root) if question.wants(place.release)]
    return of_release(root, question.release)


def _verdicts(
    root: Path, chosen: Sequence[Place], question: Question, checker: Checker
) -> Iterator[ReleaseVerdict]:
    from gbuild.host.side_by_side import results

    moment = int(time.time()) if question.at is None else question.at
    for verdicts in results(chosen, lambda some: _of_places(root, some, question, checker, moment)):
        yield from verdicts


def _of_places(
    root: Path, chosen: Sequence[Place], question: Question, checker: Checker, moment: int
) -> Iterator[list[ReleaseVerdict]]:
    """Judge all packages of each place."""
    from gbuild.verify.judge import judge
    from gbuild.verify.release import checked

    found = checked(root, chosen, checker, question.name)
    for _, groups in groupby(found, key=lambda each: each.place):
        yield [
            judge(
                each.release,
                each.name,
                each.claims,
                policy=question.policy,
                compare_to=question.compare_to,
                at=moment,
            )
            for each in groups
            if each.claims or question.name is None or not question.whole
        ]


def _key_source(session: Session, root: Path, question: Question) -> KeySource:
    from gbuild.verify import keys

    source = keys.from_folders(question.keys) if question.keys else keys.from_tree(root)
    if not question.default_keyring:
        return source
    from gbuild.host.gpg import PersonalKeyring

    own = PersonalKeyring(session.environment).export()
    return keys.joined([source, keys.from_bytes("your own keyring", own)])


def _about_keys(source: KeySource, checker: Checker) -> str:
    primaries = {key.primary for key in checker.keys.values()}
    places = ", ".join(source.folders) or "nowhere: no key folder in the tree, no --keys"
    keys = "1 public key" if len(primaries) == 1 else f"{len(primaries)} public keys"
    return f"{keys} from {places}"


def _is_since(verdict: ReleaseVerdict, since: int) -> bool:
    """Say whether anything of a release is from then or later; what has no date is shown."""
    dates = [
        date
        for entry in verdict.signers
        for date in (
            entry.claim.evidence.seen if entry.claim.evidence else None,
            entry.claim.signature.created if entry.claim.signature else None,
        )
        if date is not None
    ]
    return not dates or max(dates) >= since


def _nothing(question: Question) -> Untrusted:
    there = _releases(question.roots)
    shown = ", ".join(there[:20]) + (", ..." if len(there) > 20 else "")
    what = "any release" if question.release is None else f"release {question.release}"
    return Untrusted(
        f"nobody has signed {what}",
        details=(
            f"looked in {', '.join(map(str, question.roots)) or 'sigs'}",
            f"releases there: {shown or 'none'}",
        ),
        hint="gsign writes there; name another tree with -d DIR",
    )


def _releases(roots: Sequence[Path]) -> list[str]:
    from gbuild.verify.places import releases

    return [each for root in roots if root.is_dir() for each in releases(root)]
