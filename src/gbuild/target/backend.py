"""The seam: what a backend must give, and nothing more - a machine that answers SSH.

Running commands, moving trees and waiting are written once above it, in
:mod:`gbuild.target.shell`.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

from gbuild.errors import UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Sink
from gbuild.model.image import Image
from gbuild.model.surroundings import BUILD_USER


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one target may use; None asks for no limit. Sizes are bytes."""

    memory: int | None = None
    cpus: int | None = None
    processes: int | None = 32768
    open_files: int | None = 65536
    disk: int | None = None
    inodes: int | None = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """What to start: a fresh copy of ``image`` under ``name``.

    ``user`` is the build user to be made, ``number`` its and its group's number, ``home`` its home
    (None: /home/<user>); ``network`` False means that no packet leaves the target from its first
    instruction; ``sudo`` gives the user a password-less sudo rule and lets set-uid programs work.
    ``extras`` are for the backends that know them (:attr:`Backend.varies`): ``processors``
    (``0,2``), ``clock.boot`` and ``clock.monotonic`` (seconds), ``personality`` (personality(2)),
    ``clock.wall`` (seconds), ``processor.model`` (libvirt's name), ``order.reversed`` (folders,
    joined by colons, that list their files in reverse order).
    """

    name: str
    image: Image
    user: str
    hostname: str = "gitian"
    network: bool = False
    sudo: bool = False
    scratch: Literal["tmpfs", "disk"] = "tmpfs"
    limits: Limits = field(default_factory=Limits)
    number: int = BUILD_USER
    home: str | None = None
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a host can or cannot do; ``mend`` is the command that changes it."""

    what: str
    state: Literal["ok", "missing", "limited", "not tested"]
    detail: str
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetInfo:
    """A target that exists now."""

    name: str
    backend: str
    state: Literal["running", "dead"]
    started: float
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An image in a backend's own shape; ``place`` says where, ``used`` when (epoch) it was last.

    ``key`` is the image's, ``label`` its suite and architecture.
    """

    key: str
    label: str
    place: str
    used: float


class Machine(ABC):
    """One running, disposable copy of an image.

    Attributes:
        name: the target's name.
        user: the build user.
        host_key: the only SSH host key to accept (``ssh-ed25519 AAAA...``).
        client_key: private key for root and ``user``, OpenSSH PEM text.
        facts: how it really runs (limits that hold, scratch, network), for the statement.
    """

    name: str
    user: str
    host_key: str
    client_key: str
    facts: Mapping[str, str]
    foreign: bool = False
    """Whether a person made its system: then it is not the image's until the engine made it so."""

    @abstractmethod
    def connect(self) -> socket.socket:
        """Return a new stream on whose other end an SSH server speaks."""

    def overheard(self) -> tuple[str, ...]:
        """Return what the way to the machine complained of lately, for the details of an error."""
        return ()

    @abstractmethod
    def cut_network(self) -> None:
        """Take the network away for good; returns when no packet can leave."""

    @abstractmethod
    def alive(self) -> bool:
        """Say whether the machine still runs."""

    @abstractmethod
    def stop(self) -> None:
        """End the machine and everything in it; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Backend(ABC):
    """A way to make machines, on this host or through it.

    A backend lives in a package of its own that offers its class as ``BACKEND``. Making one costs
    nothing and cannot fail for want of a library, a program or a daemon: that is told by
    :meth:`probe`, as findings, and by the other methods, as errors with the command that mends it.

    Attributes:
        name: as in ``--backend NAME``.
        summary: one line for ``gdoctor``.
        needs: what it wants of the host, in a few words: root, a daemon, /dev/kvm.
        settings: the options it understands (``--backend-option KEY=VALUE``, or the table
            ``[backends.NAME]`` of the configuration), each with a line of help.
        varies: what it honours of a :class:`TargetSpec` beyond what every backend must:
            ``ids``, ``home``, ``processors``, ``clock`` (since the start), ``wall`` (the time of
            day), ``model`` (of the processor), ``scratch``, ``order`` (of the files in a
            folder, where the host has disorderfs); ``personality``, when the script may call
            personality(2), and ``addresses``, when addresses in memory are then random.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}
    varies: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        store: Store,
        environment: Mapping[str, str],
        sink: Sink,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.store = store
        self.environment = environment
        self.sink = sink
        self.options = options or {}

    @abstractmethod
    def probe(self) -> tuple[Finding, ...]:
        """Try what this backend needs; cheap, changes nothing."""

    def foreign(self, image: Image) -> bool:
        """Say whether targets of an image run on a system that a person made.

        The engine then puts the image's packages on it, and compares what is there with the lock.
        """
        del image
        return False

    def given(self, digests: Mapping[str, str]) -> None:  # noqa: B027 - of no use to most
        """Be told the images that a descriptor names by digest, by suite."""

    def hurry(self) -> None:  # noqa: B027 - a backend may have nothing to do
        """Be told that a build begins; what takes time and is likely to be needed may begin too."""

    @abstractmethod
    def prepare(self, image: Image) -> None:
        """Bring the image into this backend's shape once, so that starts are fast."""

    @abstractmethod
    def prepared(self) -> tuple[Prepared, ...]:
        """List the images that are in this backend's shape."""

    @abstractmethod
    def discard(self, key: str) -> bool:
        """Remove an image of this backend's shape; say whether there was one.

        Raises:
            Busy: a target uses it.
        """

    def import_machine(self, source: Path, *, label: str) -> str:
        """Make a machine for an environment (``<suite>-<arch>``) from a file; return its name.

        Raises:
            UsageFailure: this backend makes its machines itself.
        """
        raise UsageFailure(
            f"the backend {self.name} makes its machines from images: {source.name} and {label} "
            "mean nothing to it",
            hint="gbase make",
        )

    def export_machine(self, dest: Path, *, label: str) -> None:
        """Write the machine of an environment to a file for other programs.

        Raises:
            UsageFailure: this backend has no machine that could be exported.
        """
        raise UsageFailure(
            f"the backend {self.name} has no machine of {label} to write to {dest.name}"
        )

    @abstractmethod
    def start(self, spec: TargetSpec) -> Machine:
        """Start a fresh target that dies with this process unless it is detached.

        Raises:
            BackendFailure: it could not be started.
        """

    @abstractmethod
    def detach(self, spec: TargetSpec) -> TargetInfo:
        """Start a target that outlives this process (for ``gtarget start``)."""

    @abstractmethod
    def attach(self, name: str) -> Machine:
        """Return a machine for a detached target; its ``stop`` ends the target."""

    @abstractmethod
    def targets(self) -> tuple[TargetInfo, ...]:
        """List the targets of this backend and this person, running and dead."""

    @abstractmethod
    def prune(self) -> tuple[str, ...]:
        """Remove what dead targets and killed runs left behind; return what was removed."""
