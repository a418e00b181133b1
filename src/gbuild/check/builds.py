"""The builds of one check: the same inputs, packages and image, under varied conditions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gbuild.check.variations import Conditions
from gbuild.engine.build import Ready
from gbuild.engine.jobs import run_jobs, threads
from gbuild.engine.machines import Machines
from gbuild.engine.planner import plan_build
from gbuild.engine.prepare import Parts
from gbuild.engine.workspace import Workspace
from gbuild.errors import BackendFailure, BuildFailed, GbuildError, TimedOut
from gbuild.model.check import BuildKind, CheckBuild
from gbuild.model.event import Event
from gbuild.model.outcome import JobOutcome
from gbuild.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Place:
    """What is built, with its images, and on what."""

    ready: Ready
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A build that is wanted: ``varied`` names what ``conditions`` vary.

    It starts at least ``apart`` seconds after the first build did. ``place`` is another one than
    that of all builds.
    """

    kind: BuildKind
    conditions: Conditions
    varied: tuple[str, ...] = ()
    apart: float = 0.0
    place: Place | None = None


class Builds:
    """Builds what is ordered, some side by side.

    Args:
        place: what is built, and on what.
        folder: where each build gets a folder of its own, ``01-control``, ``02-all``...
        workers: builds that run side by side.
    """

    def __init__(self, place: Place, folder: Path, *, workers: int) -> None:
        self.done: list[CheckBuild] = []
        self._place = place
        self._folder = folder
        self._workers = workers
        self._lock = threading.Lock()
        self._machines: list[Machines] = []
        self._ending = threading.Event()
        self._began = time.monotonic()

    def run(self, orders: Iterable[Order]) -> list[CheckBuild]:
        """Build every order; return the builds in that order.

        The first ones are being built while the next are asked for.

        A varied build whose script fails is a result; so is a target that varied conditions
        keep from starting or answering.

        Raises:
            GbuildError: the control failed, or this host did.
        """
        first = len(self.done) + 1
        if first == 1:
            self._began = time.monotonic()
        with threads(self._workers, self._end_all, name="check") as pool:
            numbered = enumerate(orders, first)
            futures = [pool.submit(self._build, number, order) for number, order in numbered]
            builds = [future.result() for future in futures]
        self.done += builds
        return builds

    def _end_all(self) -> None:
        with self._lock:
            self._ending.set()
            living = tuple(self._machines)
        for machines in living:
            with suppress(GbuildError):
                machines.end_all()

    def _build(self, number: int, order: Order) -> CheckBuild:
        place = order.place or self._place
        plan = _plan(place, order.conditions)
        workspace = Workspace(self._folder / f"{number:02}-{order.kind}")
        workspace.var.mkdir(parents=True)
        workspace.open_build(keep=False)
        self._tell(number, order)
        self._ending.wait(max(0.0, self._began + order.apart - time.monotonic()))
        machines = Machines(place.parts.backend, order.conditions.options, tag=f"check{number}")
        with self._lock:
            if self._ending.is_set():
                raise BackendFailure("interrupted while a build started")
            self._machines.append(machines)
        started = time.monotonic()
        outcomes: tuple[JobOutcome, ...] = ()
        failure = ""
        try:
            outcomes = self._outcomes(plan, order, place, workspace, machines)
        except (BuildFailed, TimedOut, BackendFailure) as error:
            if order.kind in ("control", "repeat") or self._ending.is_set():
                raise
            failure = error.brief
        return CheckBuild(
            number=number,
            kind=order.kind,
            varied=order.varied,
            artifacts=_artifacts(outcomes),
            folder=workspace.build,
            seconds=time.monotonic() - started,
            failure=failure,
        )

    def _outcomes(
        self,
        plan: Plan,
        order: Order,
        place: Place,
        workspace: Workspace,
        machines: Machines,
    ) -> tuple[JobOutcome, ...]:
        """Run the plan; a target that is lost is tried once more, lest a full host is a verdict."""
        images, parts, options = place.ready.images, place.parts, order.conditions.options
        try:
            return run_jobs(plan, images, options, parts, workspace, machines)
        except BackendFailure as error:
            if self._ending.is_set():
                raise
            parts.sink(Event("warning", f"trying once more: {error.brief}"))
            return run_jobs(plan, images, options, parts, workspace, machines)

    def _tell(self, number: int, order: Order) -> None:
        text = {
            "control": "the control",
            "repeat": "the control again",
            "all": f"with everything varied, {len(order.varied)} in all",
            "test": f"with {', '.join(order.varied)}",
            "axis": f"with {', '.join(order.varied)}",
        }[order.kind]
        self._place.parts.sink(Event("step", f"build {number}: {text}"))


def _plan(place: Place, conditions: Conditions) -> Plan:
    prepared = place.ready.prepared
    return plan_build(
        prepared.descriptor,
        conditions.options,
        prepared.inputs,
        prepared.found.lock,
        conditions.surroundings,
    )


def _artifacts(outcomes: Sequence[JobOutcome]) -> tuple[tuple[str, str], ...]:
    """Name each artefact; with several jobs by its job, too: two jobs may make one name."""
    several = len(outcomes) > 1
    pairs = (
        (f"{outcome.label}/{artifact.path}" if several else artifact.path, artifact.sha256)
        for outcome in outcomes
        for artifact in outcome.artifacts
    )
    return tuple(sorted(pairs))


def locate(build: CheckBuild, name: str, labels: Sequence[str]) -> Path:
    """Return where the artefact called ``name`` lies in a build of the jobs ``labels``."""
    if len(labels) == 1:
        return build.folder / labels[0] / "out" / name
    label, _, path = name.partition("/")
    return build.folder / label / "out" / path
