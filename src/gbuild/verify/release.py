"""Verify releases: read the tree, check the signatures in a temporary keyring, judge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.host.foreign import Refused
from gbuild.host.keyring import Keyring
from gbuild.model.policy import Policy
from gbuild.model.verdict import Claim, ReleaseVerdict, Status
from gbuild.verify.checker import Batches, Checker
from gbuild.verify.claim import Draft, draft
from gbuild.verify.judge import judge
from gbuild.verify.keys import KeySource
from gbuild.verify.places import Place, of_release, places
from gbuild.verify.read import read_place

__all__ = ["Checker", "Group", "checked", "fill", "groups", "verify_release"]

_AHEAD = 300
"""So many entries are read ahead of the one that is waited for: three full batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Everything that was found of one package in one release's folder."""

    place: Place
    name: str
    claims: tuple[Claim, ...]

    @property
    def release(self) -> str:
        """The release."""
        return self.place.release


def fill(keyring: Keyring, source: KeySource) -> tuple[str, ...]:
    """Import key files; return one line for every file that could not be used, or not wholly."""
    broken = keyring.add([file.data for file in source.files])
    return tuple(f"{source.files[index].label}: gpg finds no usable key in it" for index in broken)


def groups(
    root: Path,
    *,
    checker: Checker,
    wanted: Callable[[Place], bool] | None = None,
    name: str | None = None,
) -> Iterator[Group]:
    """Yield every release of a tree, in the order of folders and packages, as it is checked.

    Args:
        root: the tree.
        checker: checks the signatures; many at once, some releases ahead of what is yielded.
        wanted: says which releases are asked for; all when None.
        name: only this package; a release without it has one group without claims.

    Raises:
        Refused: the tree cannot be read.
    """
    chosen = [place for place in places(root) if wanted is None or wanted(place)]
    return checked(root, chosen, checker, name)


def verify_release(
    root: Path,
    release: str,
    *,
    name: str | None,
    checker: Checker,
    policy: Policy,
    compare_to: str | None = None,
    at: int | None = None,
) -> tuple[ReleaseVerdict, ...]:
    """Judge one release, wherever in the tree it lies: one verdict per package, never none.

    Raises:
        Refused: the release's folder does not exist.
    """
    found = of_release(root, release)
    if not found:
        raise Refused(f"there is no release {release} in {root}")
    return tuple(
        judge(group.release, group.name, group.claims, policy=policy, compare_to=compare_to, at=at)
        for group in checked(root, found, checker, name)
    )


def checked(
    root: Path, chosen: Iterable[Place], checker: Checker, name: str | None
) -> Iterator[Group]:
    """Read ahead so that gpg always has work, and yield what is done in order.

    There is at least one group for each of the chosen places.
    """
    waiting: deque[tuple[Place, list[Draft | Claim]]] = deque()
    ahead = 0
    with checker.batches() as queue:
        for place in chosen:
            drafts = _drafts(root, place, checker, queue, name)
            waiting.append((place, drafts))
            ahead += len(drafts)
            while ahead > _AHEAD:
                ready = waiting.popleft()
                ahead -= len(ready[1])
                yield from _groups(*ready, checker, name)
        queue.send()
        for ready in waiting:
            yield from _groups(*ready, checker, name)


def _drafts(
    root: Path, place: Place, checker: Checker, queue: Batches, name: str | None
) -> list[Draft | Claim]:
    """Read a release; one that cannot be read, or not to its end, says so in an entry."""
    drafts: list[Draft | Claim] = []
    release = place.release
    try:
        drafts.extend(
            draft(found, release=release, checker=checker, queue=queue)
            for found in read_place(root, place, name=name)
        )
    except Refused as refusal:
        drafts.append(
            Claim(
                signer="(release)",
                release=release,
                name=name or "",
                status=Status.UNREADABLE,
                findings=(Status.UNREADABLE,),
                place=place.path,
                problem=refusal.brief,
            )
        )
    return drafts


def _groups(
    place: Place, drafts: Sequence[Draft | Claim], checker: Checker, name: str | None
) -> Iterator[Group]:
    claims = [
        claim
        for each in drafts
        for claim in (each.claims(checker.binding) if isinstance(each, Draft) else (each,))
    ]
    for package, own in _by_package(claims, name):
        yield Group(place=place, name=package, claims=tuple(own))


def _by_package(claims: Sequence[Claim], name: str | None) -> Iterator[tuple[str, Sequence[Claim]]]:
    """Group claims by package; a signer's unreadable folder spoils every package."""
    packages = sorted({each.name for each in claims if each.name}) or [""]
    for package in [name] if name is not None else packages:
        yield package, [each for each in claims if each.name in {package, ""}]
