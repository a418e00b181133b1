"""What verification says: per signer a status, per artefact a state, per release an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """What one entry (an assertion, or a lone signature) of a signer is worth.

    The members are written in the order of precedence: when several hold, the first one is the
    entry's status. First what is not there, then what cannot be read, then what the signature
    says, then what the document says, then how strong the signature is.
    """

    MISSING_ASSERTION = "missing-assertion"
    MISSING_SIGNATURE = "missing-signature"
    UNREADABLE = "unreadable"
    NOT_DETACHED = "not-detached"
    BAD = "bad"
    UNKNOWN_KEY = "unknown-key"
    REVOKED_KEY = "revoked-key"
    EXPIRED_KEY = "expired-key"
    EXPIRED_SIGNATURE = "expired-signature"
    WRONG_NAME = "wrong-name"
    WEAK = "weak"
    GOOD = "good"


class State(StrEnum):
    """What one signer says of one artefact, against the reference."""

    AGREE = "agree"
    DIFFER = "differ"
    NOT_BUILT = "not-built"
    EXTRA = "extra"


class Outcome(StrEnum):
    """What a release is worth: the files agree, they do not, or nobody can tell."""

    AGREE = "agree"
    MISMATCH = "mismatch"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What gpg found of one signature, before anybody looked at the document.

    ``status`` is one of good, bad, unknown-key, revoked-key, expired-key, expired-signature,
    weak (gpg itself refused the digest) and unreadable. ``fingerprint`` is the primary key's,
    ``key_id`` the one that the signature names (16 hex or a fingerprint), ``created`` the
    signature's own date (seconds since the epoch; it proves nothing). ``weaknesses`` are words
    such as ``SHA1`` and ``DSA-1024``. ``key_expires`` is when the key that signed ends, or ended
    (seconds since the epoch), ``revocation`` why it was revoked, in words.
    """

    status: Status
    fingerprint: str | None = None
    key_id: str | None = None
    user_id: str | None = None
    created: int | None = None
    key_expires: int | None = None
    digest: str | None = None
    algorithm: str | None = None
    weaknesses: tuple[str, ...] = ()
    revocation: str | None = None
    detail: str | None = None


class Kind(StrEnum):
    """What sort of document an entry holds: Gitian's report, or a list of sums."""

    GITIAN = "gitian"
    SUMS = "sums"


class Bound(StrEnum):
    """Whether the key that signed may sign in that signer's folder.

    ``own``: it is registered for the folder. ``unknown``: nobody registered the folder.
    ``foreign``: the folder is registered, and for other keys; that is a wrong name.
    """

    OWN = "own"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Outside evidence that an entry existed: at ``seen`` (seconds since the epoch) at the latest.

    ``source`` says what proves it, for a person: a commit of a pinned repository, a timestamp.
    """

    seen: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One entry of a release folder with everything a judge may look at.

    ``artifacts`` maps paths to sha256 and is None when no document could be read.
    ``stated_release`` and ``stated_name`` are what the document says of itself. ``findings`` are
    all statuses that hold, of which ``status`` is the first in precedence. ``person`` is
    whose the primary key is, when something outside of the entry binds the two, and ``circle`` as
    whom they are counted, together with those who may be the same. ``inputs`` maps
    files and folders to sha256 or ``git:<commit>``, ``packages`` environments to their manifest's
    text; both are empty where a document says nothing of them. ``record`` is a digest over
    all that the document says of a build: who copies it has the same one. ``place`` is the folder
    below the tree (``archive/1.0/alice``), ``notes`` are oddities that change no status.
    """

    signer: str
    release: str
    name: str
    status: Status
    signature: Signature | None = None
    artifacts: Mapping[str, str] | None = None
    stated_release: str | None = None
    stated_name: str | None = None
    problem: str | None = None
    findings: tuple[Status, ...] = ()
    person: str | None = None
    circle: str | None = None
    evidence: Evidence | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    record: str | None = None
    kind: Kind = Kind.GITIAN
    place: str = ""
    bound: Bound = Bound.UNKNOWN
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str | None:
        """The primary fingerprint behind the signature, when the key is known."""
        return self.signature.fingerprint if self.signature else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One input or package that is not the same for all: value -> who has it, sorted."""

    what: str
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether signers had the same inputs, or packages: an explanation, never a verdict.

    ``compared`` is how many documents say anything of it; with fewer than two nothing was
    compared. ``number`` is how many differ, ``differ`` the first of them.
    """

    compared: int = 0
    number: int = 0
    differ: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool | None:
        """Whether all that were compared are the same; None when nothing was."""
        return None if self.compared < 2 else self.number == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerVerdict:
    """One entry, judged: whether it counts, and its state for every artefact it speaks of.

    ``person`` is who speaks, however many keys and folders they have. ``objection`` is why the
    entry does not count, None when it does. ``same_record`` are other persons' entries with the
    same document: one of them was copied, or all were built from one lock.
    """

    claim: Claim
    counted: bool
    states: Mapping[str, State] = field(default_factory=dict)
    person: str = ""
    objection: str | None = None
    same_record: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseVerdict:
    """One release of one package, judged.

    ``artifacts`` are all paths that anybody listed, sorted; ``persons`` is how many persons were
    counted; ``reasons`` are the sentences that explain ``outcome``, none when it is agree.
    """

    release: str
    name: str
    outcome: Outcome
    signers: tuple[SignerVerdict, ...]
    artifacts: tuple[str, ...]
    persons: int
    reasons: tuple[str, ...] = ()
    inputs: Comparison = Comparison()
    packages: Comparison = Comparison()


def worst(statuses: tuple[Status, ...]) -> Status:
    """Return the status that comes first in the documented precedence (at least one is given)."""
    order = list(Status)
    return min(statuses, key=order.index)
