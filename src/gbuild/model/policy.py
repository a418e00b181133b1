"""What a release needs to pass, as values: persons, rules over them, and what may count.

A rule is built of two shapes. :class:`Anyone` asks for so many different persons, whoever they
are. :class:`Group` asks for a sum of weights: with weights of one, a minimum of one is *any*, a
minimum of all of them is *all*, and anything between is *k of n*. Members may be groups again.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from gbuild.model.verdict import Status

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
class Person:
    """One human being with all keys of theirs (primary fingerprints, upper case).

    Without ``keys`` the tree's own binding says which keys are theirs. ``signers`` are the only
    folders they may sign in; empty: any.
    """

    name: str
    keys: frozenset[str] = frozenset()
    signers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Anyone:
    """So many different persons, whoever they are; 0 asks for nobody."""

    minimum: int = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A person by name, or a rule, and what it weighs in its group."""

    who: str | Anyone | Group
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """Members of which enough must agree: the weights of those who do reach ``minimum``."""

    members: tuple[Member, ...]
    minimum: int
    name: str | None = None

    @property
    def total(self) -> int:
        """The sum of all weights."""
        return sum(member.weight for member in self.members)


Rule = Anyone | Group


@dataclass(frozen=True, slots=True)
class ForArtifacts:
    """A rule of its own for the artefacts whose whole path matches one of the globs."""

    globs: tuple[str, ...]
    rule: Rule

    def covers(self, path: str) -> bool:
        """Say whether the rule is for this path; ``*`` matches ``/`` too."""
        return any(fnmatchcase(path, glob) for glob in self.globs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who counts, what counts, and what every artefact needs.

    Attributes:
        persons: who may count; without any, everybody whose key is known.
        require: what every artefact needs that no rule of its own covers.
        artifacts: rules of their own; the first that covers a path is used.
        weak: globs of weaknesses that are accepted: ``SHA1``, ``DSA-*``, ``*``.
        expired: a key's signature counts after it expired, when outside evidence shows that it
            existed before.
        maximum_age: seconds; older signatures do not count.
        minimum_age: seconds; what is not known to have existed so long does not count.
        copies: everybody counts who signed a copy of another's document.
        broken: statuses that spoil a whole release.
    """

    persons: tuple[Person, ...] = ()
    require: Rule = Anyone(1)
    artifacts: tuple[ForArtifacts, ...] = ()
    weak: frozenset[str] = frozenset()
    expired: bool = False
    maximum_age: int | None = None
    minimum_age: int | None = None
    copies: bool = True
    broken: frozenset[Status] = BROKEN

    def rule(self, path: str) -> Rule:
        """Return the rule for an artefact."""
        return next((each.rule for each in self.artifacts if each.covers(path)), self.require)
