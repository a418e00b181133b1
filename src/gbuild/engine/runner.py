"""Run one job of a plan: start a target, take its steps in order, stop it, then hash."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.engine.collect import artifacts_of
from gbuild.engine.joblog import JobLog
from gbuild.engine.machines import Machines
from gbuild.engine.sizes import limits_of
from gbuild.engine.workspace import Workspace, remove
from gbuild.errors import BackendFailure, BuildFailed, GbuildError, HostFailure, TimedOut
from gbuild.host.store import Store
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import JobOutcome
from gbuild.model.plan import (
    CutNetwork,
    GetTree,
    Job,
    MakeFolders,
    MoveBuild,
    PutFiles,
    PutTree,
    RunScript,
    SetAlternative,
    Step,
)
from gbuild.target.backend import Machine, TargetSpec
from gbuild.target.receive_tree import TreeLimits

if TYPE_CHECKING:
    from gbuild.target.shell import Target

TREE_TIMEOUT = 3600.0
"""Seconds that one tree may take on its way; a script can leave a shell behind that never ends."""

_STEP_TIMEOUT = 600.0
_LAST_LINES = 25
_OUT_LIMITS = TreeLimits(entries=250_000, size=64 << 30)


@dataclass(frozen=True, slots=True)
class Run:
    """What every job of one run shares."""

    workspace: Workspace
    options: BuildOptions
    logs: Path
    machines: Machines
    store: Store
    sink: Sink
    show_output: bool = False


def run_job(job: Job, image: Image, run: Run) -> JobOutcome:
    """Run one job to its end.

    Raises:
        BuildFailed: the script failed, or what it made cannot be taken.
        TimedOut: the script took longer than ``--timeout``.
        BackendFailure: the target could not be started or was lost.
        HostFailure: this host's disk is full, or the like.
    """
    try:
        return _Attempt(job, image, run).run()
    except GbuildError as error:
        raise _labelled(error, job.label) from error
    except OSError as error:
        raise _host_failure(error, job.label) from error


def _labelled(error: GbuildError, label: str) -> GbuildError:
    brief = error.brief if error.brief.startswith(f"{label}: ") else f"{label}: {error.brief}"
    return error.retold(brief, details=error.details)


def _host_failure(error: OSError, label: str) -> GbuildError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space, or use another folder with --workspace and --store" if full else None
    return HostFailure(f"{label}: {error.strerror or error}: {error.filename or ''}", hint=hint)


class _Attempt:
    """One try at one job: the target, its logs and where its results go."""

    def __init__(self, job: Job, image: Image, run: Run) -> None:
        self.job = job
        self.image = image
        self.shared = run
        self.staging = run.workspace.build / f".{job.label}.part"
        self.log_path = run.logs / f"{job.label}.build.log"
        self.caches: dict[str, Path] = {}
        self.base: str | None = None

    def run(self) -> JobOutcome:
        remove(self.staging)
        self.staging.mkdir()
        started = time.monotonic()
        with self._logs() as (install, build):
            facts = self._in_target(install, build)
        outcome = JobOutcome(
            label=self.job.label,
            out=self.staging / "out",
            artifacts=artifacts_of(self.staging / "out"),
            log=self.log_path,
            seconds=time.monotonic() - started,
            image=self.image.sha256 if self.base is None else "",
            caches=self.caches,
            facts=facts,
            base=self.base,
        )
        return self._settle(outcome)

    @contextmanager
    def _logs(self) -> Iterator[tuple[JobLog, JobLog]]:
        install_path = self.shared.logs / f"{self.job.label}.install.log"
        sink = self.shared.sink if self.shared.show_output else None
        with (
            JobLog(install_path, label=self.job.label) as install,
            JobLog(self.log_path, label=self.job.label, sink=sink) as build,
        ):
            self.shared.workspace.point("install.log", install_path)
            self.shared.workspace.point("build.log", self.log_path)
            yield install, build

    def _in_target(self, install: JobLog, build: JobLog) -> dict[str, str]:
        self._tell("step", "starting the target")
        with self.shared.machines.running(self._spec()) as machine:
            from gbuild.target.shell import Target  # slow to load: meanwhile the target starts

            more = {}
            with Target(machine, sink=self.shared.sink, label=self.job.label) as target:
                if machine.foreign:
                    more["drift"] = self._provision(target, install)
                for step in self.job.steps:
                    self._take(step, target, machine, install, build)
            return {**machine.facts, **more}

    def _provision(self, target: Target, log: JobLog) -> str:
        """Make a person's system what the lock says; return how it differs all the same."""
        from gbuild.engine.provision import provision  # rarely needed

        found = provision(
            target,
            self.image.environment,
            store=self.shared.store,
            accept_drift=self.shared.options.accept_drift,
            log=log,
            sink=self.shared.sink,
            label=self.job.label,
        )
        self.base = found.manifest(self.image.environment)
        return found.drift.brief

    def _spec(self) -> TargetSpec:
        return TargetSpec(
            name=self.shared.machines.name_for(self.job.label),
            image=self.image,
            user=self.job.user,
            network=self.job.network,
            sudo=self.job.sudo,
            scratch=self.job.scratch,
            limits=limits_of(self.shared.options),
            hostname=self.job.surroundings.hostname,
            number=self.job.surroundings.number,
            home=self.job.home,
            extras=_extras(self.job),
        )

    def _take(
        self, step: Step, target: Target, machine: Machine, install: JobLog, build: JobLog
    ) -> None:
        user, mtime = self.job.user, self.job.mtime
        match step:
            case MakeFolders(paths=paths):
                self._checked(target, install, user, "mkdir", "-p", "--", *paths)
            case MoveBuild(path=path, link=link):
                owned = ("-o", user, "-g", user, "-m", "0755")
                self._checked(target, install, "root", "install", "-d", *owned, "--", path)
                self._checked(target, install, user, "ln", "-s", "--", path, link)
            case PutFiles(files=files, dest=dest):
                pairs = [(file.path, file.name) for file in files]
                target.put_files(pairs, dest, user=user, mtime=mtime, timeout=TREE_TIMEOUT)
            case PutTree(source=source, dest=dest):
                target.put_tree(source, dest, user=user, mtime=mtime, timeout=TREE_TIMEOUT)
            case SetAlternative(name=name, path=path):
                words = ("update-alternatives", "--set", name, path)
                self._checked(target, install, "root", *words)
            case CutNetwork():
                machine.cut_network()
            case RunScript():
                self._script(step, target, build)
            case GetTree(source=source, role=role, folder=folder):
                self._get(target, source, role, folder)

    def _checked(self, target: Target, log: JobLog, user: str, *argv: str) -> None:
        log.write(f"+ {' '.join(argv)}\n".encode())
        done = target.run(
            argv, user=user, timeout=_STEP_TIMEOUT, on_output=lambda _stream, data: log.write(data)
        )
        if done.returncode != 0:
            raise BuildFailed(
                f"{argv[0]} failed in the target with status {done.returncode}",
                details=(*log.last_lines(_LAST_LINES), f"log: {log.path}"),
            )

    def _script(self, step: RunScript, target: Target, log: JobLog) -> None:
        self._tell("step", "running the build script")
        try:
            done = target.run(
                step.argv,
                user=self.job.user,
                stdin=step.script,
                timeout=self.shared.options.timeout,
                capture=0,
                on_output=lambda _stream, data: log.write(data),
            )
        except TimedOut as error:
            raise self._failure(TimedOut, f"the build script {_took(self.shared)}", log) from error
        except BackendFailure as error:
            raise self._failure(
                BackendFailure, f"the target was lost: {error.brief}", log
            ) from error
        if log.truncated:
            self._tell("warning", f"the log was cut at its limit: {log.path}")
        if done.returncode != 0:
            raise self._failure(BuildFailed, _how(done.returncode), log, _room(target, self.job))

    def _failure(
        self, kind: type[GbuildError], brief: str, log: JobLog, more: tuple[str, ...] = ()
    ) -> GbuildError:
        lines = log.last_lines(_LAST_LINES)
        head = ("last lines of its log:", *(f"  {line}" for line in lines)) if lines else ()
        return kind(
            brief,
            details=(*head, f"log: {log.path}", *more),
            hint=self.shared.machines.hint(self.job.label),
        )

    def _get(self, target: Target, source: str, role: str, folder: str) -> None:
        from gbuild.target.shell import PathRefused

        self._tell("step", f"getting {folder}")
        dest = self.staging / "out" if role == "out" else self.staging / "cache" / folder
        dest.parent.mkdir(exist_ok=True)
        if role == "cache":
            self.caches[folder] = dest
        user = self.job.user
        try:
            target.get_tree(source, dest, limits=_OUT_LIMITS, user=user, timeout=TREE_TIMEOUT)
        except PathRefused as error:
            raise BuildFailed(
                f"the build script left no folder {folder} that can be read",
                details=(error.brief, *error.details),
                hint=self.shared.machines.hint(self.job.label),
            ) from error

    def _settle(self, outcome: JobOutcome) -> JobOutcome:
        """Give the finished job's folder its name."""
        final = self.shared.workspace.job(self.job.label)
        remove(final)
        self.staging.rename(final)
        caches = {folder: final / "cache" / folder for folder in self.caches}
        return replace(outcome, out=final / "out", caches=caches)

    def _tell(self, kind: str, text: str) -> None:
        data = {"job": self.job.label}
        self.shared.sink(Event("warning" if kind == "warning" else "step", text, data))


def _extras(job: Job) -> dict[str, str]:
    """Return what a backend is asked for beyond what every one of them has."""
    surroundings, extras = job.surroundings, {}
    if surroundings.reversed_order:
        folders = (job.home, surroundings.build_path)
        extras["order.reversed"] = ":".join(folder for folder in folders if folder)
    if surroundings.processors:
        extras["processors"] = ",".join(str(number) for number in surroundings.processors)
    if surroundings.boot_clock:
        extras["clock.boot"] = extras["clock.monotonic"] = str(surroundings.boot_clock)
    if surroundings.wall_clock:
        extras["clock.wall"] = str(surroundings.wall_clock)
    if surroundings.processor_model is not None:
        extras["processor.model"] = surroundings.processor_model
    return extras


def _took(run: Run) -> str:
    return f"took longer than {run.options.timeout:g} seconds (--timeout) and was killed"


def _how(status: int) -> str:
    if status in (-9, 137):
        return (
            "the build script was killed; perhaps it used more memory than it may "
            "(-m MIB allows more)"
        )
    if status < 0:
        return f"the build script was killed by signal {-status}"
    return f"the build script failed with status {status}"


def _room(target: Target, job: Job) -> tuple[str, ...]:
    """Say whether the target's disk is full; silence when it cannot be asked any more."""
    try:
        argv = ("df", "--output=avail,iavail", "--block-size=1M", job.home)
        done = target.run(argv, user="root", timeout=10)
        space, inodes = done.stdout.split()[-2:]
        full = int(space) < 1 or (inodes.isdigit() and int(inodes) < 1)
    except (GbuildError, OSError, ValueError, IndexError):
        return ()
    return ("the target's scratch space is full: allow more with --disk MIB",) if full else ()
