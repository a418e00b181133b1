"""What two builds have in common and where they differ. Frozen values without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from gbuild.model.check import Trace


class Presence(Enum):
    """How an artefact compares."""

    SAME = "same"
    DIFFERS = "differs"
    ONLY_A = "only in A"
    ONLY_B = "only in B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One node of a diffoscope report: two sources, what differs between them, what is inside.

    Every text is a tool's and nobody's to trust. ``diff`` is a unified diff without file names.
    """

    a: str
    b: str
    diff: str = ""
    comments: tuple[str, ...] = ()
    inside: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What diffoscope said of one artefact: ``kept`` is the file with its report.

    ``note`` says in one line why there is no report, or that it is not whole.
    """

    detail: Detail | None = None
    kept: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One artefact of both sides.

    ``a`` and ``b`` are sha256 in hex, empty where it is absent. ``traces`` are causes seen in the
    bytes, ``unknown`` says that some of what differs has none; both stay empty when the bytes
    were not at hand. ``looked`` is what diffoscope said, if it was asked.
    """

    path: str
    presence: Presence
    a: str = ""
    b: str = ""
    traces: tuple[Trace, ...] = ()
    unknown: bool = False
    looked: Looked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Something that went into the builds and is not the same.

    ``kind`` is descriptor, file, remote or package; ``a`` and ``b`` say what each side had (a
    digest, a commit, a version), empty where it had none. ``newer`` names the side with the newer
    version of a package.
    """

    kind: Literal["descriptor", "file", "remote", "package"]
    name: str
    a: str
    b: str
    newer: Literal["", "A", "B"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """A whole comparison; ``a`` and ``b`` are what the person calls the sides.

    ``explained`` says whether inputs and packages were compared, ``packages_known`` whether both
    sides name packages at all. ``note`` says in one line why diffoscope was not asked.
    """

    a: str
    b: str
    artifacts: tuple[Compared, ...]
    changed: tuple[Changed, ...] = ()
    explained: bool = False
    packages_known: bool = False
    note: str = ""

    @property
    def same(self) -> bool:
        """Whether every artefact is on both sides with the same bytes."""
        return all(artifact.presence is Presence.SAME for artifact in self.artifacts)
