"""The jobs of a plan, side by side: all are run, all that failed are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module

from gbuild.engine.machines import Machines
from gbuild.engine.prepare import Parts
from gbuild.engine.resume import finished, record
from gbuild.engine.runner import Run, run_job
from gbuild.engine.workspace import Workspace
from gbuild.errors import GbuildError
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import JobOutcome
from gbuild.model.plan import Job, Plan

_NEEDED_LATER = ("gbuild.target.shell", "gbuild.engine.finish")
"""Modules that are slow to load: this thread has time for it while the targets start."""


def run_jobs(
    plan: Plan,
    images: Mapping[str, Image],
    options: BuildOptions,
    parts: Parts,
    workspace: Workspace,
    machines: Machines | None = None,
) -> tuple[JobOutcome, ...]:
    """Run every job of the plan, ``--parallel`` side by side, and return their outcomes.

    ``machines`` are for somebody who runs several plans at once and ends them all.

    Raises:
        GbuildError: a job failed; several give one error that lists them all.
    """
    machines = machines or Machines(parts.backend, options)
    run = Run(
        workspace=workspace,
        options=options,
        logs=workspace.open_logs(time.time()),
        machines=machines,
        store=parts.store,
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

    with threads(options.parallel, machines.end_all, name="job") as pool:
        futures = [pool.submit(one, job) for job in plan.jobs]
        for name in _NEEDED_LATER:
            import_module(name)
        results = [future.result() for future in futures]
    return _outcomes(results)


@contextmanager
def threads(
    workers: int, end_all: Callable[[], None], *, name: str
) -> Iterator[ThreadPoolExecutor]:
    """Run what is submitted in threads; an error or interruption of the block ends all of it.

    ``end_all`` ends the targets that the threads wait for: leaving waits for the threads.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise


def _outcomes(results: Sequence[JobOutcome | GbuildError]) -> tuple[JobOutcome, ...]:
    """Return the outcomes, or raise one error for every failed job."""
    failed = [result for result in results if isinstance(result, GbuildError)]
    if len(failed) == 1:
        raise failed[0]
    if failed:
        details = tuple(line for error in failed for line in error.lines)
        brief = f"{len(failed)} of {len(results)} jobs failed"
        raise failed[0].retold(brief, details=details) from failed[0]
    return tuple(result for result in results if isinstance(result, JobOutcome))
