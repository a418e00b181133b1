"""One build from its descriptor to its report: the order of everything that gbuild does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.engine import preflight
from gbuild.engine.collect import merge, merge_cache
from gbuild.engine.inputs import resolve_inputs
from gbuild.engine.locks import FoundLock, find_lock
from gbuild.engine.machines import Machines
from gbuild.engine.planner import cache_folders, check_sudo, plan_build
from gbuild.engine.report import cache_manifest, cache_states, make_report
from gbuild.engine.resume import finished, record
from gbuild.engine.runner import Run, run_job
from gbuild.engine.statement import make_statement
from gbuild.engine.workspace import Workspace
from gbuild.errors import GbuildError
from gbuild.formats.descriptor import parse_descriptor
from gbuild.formats.report import write_report
from gbuild.host.files import write_atomically
from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.image.provide import ensure
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import BuildOutcome, JobOutcome
from gbuild.model.plan import Inputs, Job, Plan
from gbuild.target.backend import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The concrete things that a build works with, chosen by :mod:`gbuild.app`."""

    store: Store
    backend: Backend
    idmap: IdMap
    environment: Mapping[str, str]
    sink: Sink


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is known before anything starts; ``started`` is in seconds since the epoch."""

    descriptor: Descriptor
    inputs: Inputs
    found: FoundLock
    plan: Plan
    started: float


def read_descriptor(path: Path, sink: Sink) -> Descriptor:
    """Read and parse a descriptor, and tell its warnings."""
    descriptor = parse_descriptor(path.read_bytes(), path=str(path))
    for text in descriptor.warnings:
        sink(Event("warning", text))
    return descriptor


def plan_only(path: Path, options: BuildOptions, parts: Parts, root: Path) -> Plan:
    """Do everything up to the plan: inputs are fetched, packages resolved, nothing is started."""
    workspace = Workspace(root)
    with workspace.locked(wait=options.wait):
        return _prepare(path, options, parts, workspace).plan


def build(path: Path, options: BuildOptions, parts: Parts, root: Path) -> BuildOutcome:
    """Build a descriptor in the workspace ``root`` and write its report.

    Raises:
        GbuildError: see :mod:`gbuild.errors`; several failed jobs give one error that lists
            them all, of the first one's kind.
    """
    workspace = Workspace(root)
    with workspace.locked(wait=options.wait):
        prepared = _prepare(path, options, parts, workspace)
        _check_host(prepared.plan, options, parts, workspace)
        images = _images(prepared, parts, options)
        workspace.open_build(keep=options.resume)
        outcomes = _run_jobs(prepared.plan, images, options, parts, workspace)
        return _finish(prepared, images, outcomes, options, workspace)


def _prepare(path: Path, options: BuildOptions, parts: Parts, workspace: Workspace) -> _Prepared:
    started = time.time()
    descriptor = read_descriptor(path, parts.sink)
    check_sudo(descriptor, options)
    inputs = resolve_inputs(
        descriptor,
        options,
        workspace=workspace.root,
        store=parts.store,
        environment=parts.environment,
        sink=parts.sink,
    )
    inputs = replace(inputs, caches=cache_states(descriptor, options, workspace.cache))
    found = find_lock(
        descriptor,
        path,
        options,
        result=workspace.result,
        store=parts.store,
        sink=parts.sink,
        environment=parts.environment,
    )
    plan = plan_build(descriptor, options, inputs, found.lock)
    for text in plan.warnings:
        parts.sink(Event("warning", text))
    return _Prepared(descriptor, inputs, found, plan, started)


def _check_host(plan: Plan, options: BuildOptions, parts: Parts, workspace: Workspace) -> None:
    needs = {workspace.root: preflight.WORKSPACE_ROOM, parts.store.root: preflight.STORE_ROOM}
    host = preflight.look(needs)
    preflight.refuse(
        [
            *preflight.backend_problems(parts.backend.probe()),
            *preflight.space_problems(host, needs),
            *preflight.memory_problems(host, options, len(plan.jobs)),
        ]
    )
    for text in preflight.memory_warnings(host, options, len(plan.jobs)):
        parts.sink(Event("warning", text))


def _images(prepared: _Prepared, parts: Parts, options: BuildOptions) -> Mapping[str, Image]:
    """Have every image at hand, by the lock's label."""
    images: dict[str, Image] = {}
    for label in dict.fromkeys(job.environment for job in prepared.plan.jobs):
        environment = prepared.found.lock.environment(label)
        assert environment is not None, label  # noqa: S101 (the planner looked it up)
        images[label] = ensure(
            environment,
            expected=prepared.found.lock.images.get(label, {}),
            store=parts.store,
            idmap=parts.idmap,
            sink=parts.sink,
            offline=options.offline,
            os_environment=parts.environment,
            repositories=prepared.descriptor.repositories,
        )
        parts.backend.prepare(images[label])
    return images


def _run_jobs(
    plan: Plan,
    images: Mapping[str, Image],
    options: BuildOptions,
    parts: Parts,
    workspace: Workspace,
) -> tuple[JobOutcome, ...]:
    machines = Machines(parts.backend, options)
    run = Run(
        workspace=workspace,
        options=options,
        logs=workspace.open_logs(time.time()),
        machines=machines,
        sink=parts.sink,
        show_output="CI" in parts.environment,
    )

    def one(job: Job) -> JobOutcome | GbuildError:
        image = images[job.environment]
        if options.resume and (outcome := finished(workspace, job, image=image.sha256)):
            parts.sink(Event("info", "finished by an earlier run", {"job": job.label}))
            return outcome
        try:
            outcome = run_job(job, image, run)
        except GbuildError as error:
            brief = error.brief.removeprefix(f"{job.label}: ")
            parts.sink(Event("info", f"failed: {brief}", {"job": job.label}))
            return error
        record(workspace, job, outcome)
        parts.sink(Event("done", f"built in {outcome.seconds:.1f} s", {"job": job.label}))
        return outcome

    return _outcomes(_side_by_side(one, plan.jobs, options.parallel, machines.end_all))


def _side_by_side(
    one: Callable[[Job], JobOutcome | GbuildError],
    jobs: Sequence[Job],
    workers: int,
    end_all: Callable[[], None],
) -> list[JobOutcome | GbuildError]:
    """Run the jobs in threads; an interruption ends every target before it goes on up."""
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="job") as pool:
        futures = [pool.submit(one, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            end_all()
            raise


def _outcomes(results: Sequence[JobOutcome | GbuildError]) -> tuple[JobOutcome, ...]:
    """Return the outcomes, or raise one error for every failed job."""
    failed = [result for result in results if isinstance(result, GbuildError)]
    if len(failed) == 1:
        raise failed[0]
    if failed:
        first = failed[0]
        details = [line for error in failed for line in (error.brief, *_indented(error.details))]
        again = GbuildError.__new__(type(first))
        brief = f"{len(failed)} of {len(results)} jobs failed"
        GbuildError.__init__(again, brief, details=tuple(details), hint=first.hint)
        raise again from first
    return tuple(result for result in results if isinstance(result, JobOutcome))


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _finish(
    prepared: _Prepared,
    images: Mapping[str, Image],
    outcomes: tuple[JobOutcome, ...],
    options: BuildOptions,
    workspace: Workspace,
) -> BuildOutcome:
    """Merge what was made, then write the report and the statement."""
    descriptor = prepared.descriptor
    strict = not descriptor.is_gitian_pure
    artifacts, warnings = merge(outcomes, workspace.out, strict=strict)
    common, package = _merge_caches(descriptor, outcomes, workspace, options)
    report = make_report(
        descriptor, prepared.inputs, prepared.found.lock, artifacts, common=common, package=package
    )
    data = write_report(report)
    sha256 = hashlib.sha256(data).hexdigest()
    report_path = workspace.result / f"{descriptor.name}-res.yml"
    statement_path = workspace.result / f"{descriptor.name}-res.intoto.json"
    statement = make_statement(
        descriptor,
        prepared.plan,
        prepared.inputs,
        options,
        lock=prepared.found.lock,
        lock_proven=True,
        images=images,
        outcomes=outcomes,
        artifacts=artifacts,
        report_sha256=sha256,
        times=(prepared.started, time.time()),
    )
    write_atomically(statement_path, statement)
    write_atomically(report_path, data)
    return BuildOutcome(
        name=descriptor.name,
        plan_digest=prepared.plan.digest,
        jobs=outcomes,
        artifacts=artifacts,
        out=workspace.out,
        report=report_path,
        report_sha256=sha256,
        statement=statement_path,
        lock=prepared.found.path,
        warnings=warnings,
    )


def _merge_caches(
    descriptor: Descriptor,
    outcomes: Sequence[JobOutcome],
    workspace: Workspace,
    options: BuildOptions,
) -> tuple[str, str]:
    """Lay the targets' caches over the workspace's; return both manifests as they are then."""
    for outcome in outcomes:
        for folder, path in outcome.caches.items():
            merge_cache(path, workspace.cache / folder)
    if not options.use_cache or not descriptor.enable_cache:
        return "", ""
    package, common = (cache_manifest(workspace.cache / f) for f in cache_folders(descriptor))
    return common, package
