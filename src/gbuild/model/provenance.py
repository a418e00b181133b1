"""What a statement tells about a build: the facts, before they become in-toto JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gbuild.model.outcome import Artifact
from gbuild.model.plan import Inputs

Parameter = str | int | bool | Sequence[str] | Mapping[str, str] | None
"""A value of an option or a fact; no fraction, so that the JSON has one spelling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenImage:
    """The image that the jobs of one environment ran in.

    ``label`` is the environment's in the lock, ``environment_digest`` the sha256 of its
    canonical form, ``sha256`` of the image's tar, ``recipe`` the number of the procedure.
    """

    label: str
    environment_digest: str
    sha256: str
    recipe: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenJob:
    """How one job really ran.

    ``network`` says whether the script had one, ``facts`` what the machine told (limits that
    held, scratch), ``reused`` that an earlier run of the same plan had finished it.
    """

    label: str
    network: bool
    sudo: bool
    facts: Mapping[str, str] = field(default_factory=dict)
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything that one statement says.

    ``name`` is the descriptor's, ``descriptor`` its file's name, all ``*_sha256`` and digests 64
    lower-case hex, ``started`` and ``finished`` whole seconds since the epoch. ``options`` are
    those of the person that can matter to the artefacts; their names are the long flags without
    the leading dashes.
    """

    name: str
    descriptor: str
    descriptor_sha256: str
    artifacts: tuple[Artifact, ...]
    inputs: Inputs
    lock_digest: str
    images: tuple[ProvenImage, ...]
    jobs: tuple[ProvenJob, ...]
    backend: str
    report_sha256: str
    version: str
    invocation_id: str
    started: int
    finished: int
    options: Mapping[str, Parameter] = field(default_factory=dict)
