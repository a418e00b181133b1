"""What a check of reproducibility found. Frozen values without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

NOT_ASKED = "not asked for"
"""Why a variation is not tried that the person left out."""

BuildKind = Literal["control", "all", "repeat", "test", "axis"]


class Reproducible(Enum):
    """What is said of one artefact.

    ``SENSITIVE``: the same when nothing is varied, and not when something is. ``UNSTABLE``: not
    even the same when nothing is varied.
    """

    YES = "reproducible"
    SENSITIVE = "sensitive"
    UNSTABLE = "unstable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One variation of the list.

    ``missing`` says why it was not tried, or is empty; ``needs`` what it takes, if anything.
    """

    name: str
    control: str
    varied: str
    needs: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedAxis:
    """Something that is varied on request only, in a build of its own.

    ``ask`` is what stands after ``--also``, ``value`` what was given with it, ``reason`` why it
    cannot be had here or why its build failed. ``differing`` are artefacts that are not the
    control's, ``waived`` those of them that a waiver covers.
    """

    name: str
    what: str
    ask: str
    needs: str
    value: str = ""
    state: Literal["not run", "same", "differs", "failed"] = "not run"
    reason: str = ""
    differing: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As it was asked for."""
        return f"{self.name}={self.value}" if self.value else self.name

    @property
    def failing(self) -> bool:
        """Whether it failed, or changed what no waiver covers."""
        return self.state == "failed" or bool({*self.differing} - {*self.waived})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBuild:
    """One build of a check.

    ``number`` counts from 1 in the order of starting, ``varied`` names variations, ``artifacts``
    are (path, sha256) pairs, ``failure`` is what went wrong (then there are no artefacts),
    ``folder`` where it lies, ``seconds`` how long it took.
    """

    number: int
    kind: BuildKind
    varied: tuple[str, ...]
    artifacts: tuple[tuple[str, str], ...]
    folder: Path
    seconds: float
    failure: str = ""


def changed(control: Mapping[str, str], build: CheckBuild) -> frozenset[str]:
    """Name the artefacts that are not as in the control: other bytes, absent, or new."""
    made = dict(build.artifacts)
    return frozenset(
        path for path in control.keys() | made.keys() if control.get(path) != made.get(path)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A named cause in an artefact's bytes: a diagnosis with its evidence and its mend.

    ``cause`` is the name of a diagnoser (and of its page in the documentation), ``where`` the
    member of the artefact, ``evidence`` what was seen on either side.
    """

    cause: str
    where: str
    evidence: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A person's word that an artefact need not be reproducible.

    ``pattern`` is a glob over artefacts' paths, ``expires`` a day as YYYY-MM-DD.
    """

    pattern: str
    reason: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedArtifact:
    """The verdict on one artefact.

    ``sha256`` is the control's (empty: only varied builds made it), ``causes`` are sets of
    variations, each of which is enough to change it; ``certain`` is False when the builds ended
    before that was proven. ``differed`` of ``repeats`` control builds were not like the first.
    ``waiver`` is the one that covers it on the day of the check, ``lapsed`` one that no longer
    does.
    """

    path: str
    sha256: str
    verdict: Reproducible
    causes: tuple[tuple[str, ...], ...] = ()
    certain: bool = True
    differed: int = 0
    repeats: int = 0
    traces: tuple[Trace, ...] = ()
    unknown: bool = False
    waiver: Waiver | None = None
    lapsed: Waiver | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An earlier check: when (ISO 8601, UTC), of what, and what it said of each artefact."""

    started: str
    descriptor_sha256: str
    backend: str
    verdicts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A whole check.

    ``descriptor_sha256`` and ``plan_digest`` are 64 lower-case hex, ``started`` is in seconds
    since the epoch; ``earlier`` are the checks before this one, oldest first.
    """

    name: str
    backend: str
    descriptor_sha256: str
    plan_digest: str
    started: float
    seconds: float
    variations: tuple[Tried, ...]
    builds: tuple[CheckBuild, ...]
    artifacts: tuple[CheckedArtifact, ...]
    axes: tuple[TriedAxis, ...] = ()
    earlier: tuple[Past, ...] = ()

    @property
    def failing(self) -> tuple[CheckedArtifact, ...]:
        """The artefacts that are not reproducible and that no waiver covers."""
        return tuple(
            a for a in self.artifacts if a.verdict is not Reproducible.YES and a.waiver is None
        )

    @property
    def passes(self) -> bool:
        """Whether nothing fails that was tried: no artefact, and no axis that was asked for."""
        return not self.failing and not any(axis.failing for axis in self.axes)
