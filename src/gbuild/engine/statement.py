"""The in-toto statement of a run: the facts that the report must not depend on."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence

from gbuild import __version__
from gbuild.formats.intoto import provenance
from gbuild.formats.lockfile import lock_digest
from gbuild.model.descriptor import Descriptor
from gbuild.model.image import Image
from gbuild.model.lock import Lock
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import Artifact, JobOutcome
from gbuild.model.plan import Inputs, Job, Plan
from gbuild.model.provenance import Parameter, Provenance, ProvenImage, ProvenJob


def make_statement(
    descriptor: Descriptor,
    plan: Plan,
    inputs: Inputs,
    options: BuildOptions,
    *,
    lock: Lock,
    images: Mapping[str, Image],
    outcomes: Sequence[JobOutcome],
    artifacts: tuple[Artifact, ...],
    report_sha256: str,
    times: tuple[float, float],
) -> bytes:
    """Write the statement.

    Args:
        descriptor: what was built.
        plan: how.
        inputs: from what; the digests of the caches are those before the run.
        options: what the person asked for.
        lock: the packages.
        images: by the lock's label.
        outcomes: of every job, in the plan's order.
        artifacts: the merged ones.
        report_sha256: of the report beside the statement.
        times: start and end, in seconds since the epoch.
    """
    jobs = tuple(
        _proven_job(job, outcome) for job, outcome in zip(plan.jobs, outcomes, strict=True)
    )
    return provenance(
        Provenance(
            name=descriptor.name,
            descriptor=f"{descriptor.stem}.yml",
            descriptor_sha256=hashlib.sha256(descriptor.source).hexdigest(),
            artifacts=artifacts,
            inputs=inputs,
            lock_digest=lock_digest(lock),
            images=_proven_images(plan, images, outcomes),
            jobs=jobs,
            backend=options.backend,
            report_sha256=report_sha256,
            version=__version__,
            invocation_id=str(uuid.uuid4()),
            started=int(times[0]),
            finished=int(times[1]),
            options=_parameters(options, lock),
        )
    )


def _proven_images(
    plan: Plan, images: Mapping[str, Image], outcomes: Sequence[JobOutcome]
) -> tuple[ProvenImage, ...]:
    """Name the images that jobs ran in: none for a job on a system that a person made."""
    pairs = zip(plan.jobs, outcomes, strict=True)
    digests = {job.environment: job.environment_digest for job, one in pairs if one.base is None}
    return tuple(
        ProvenImage(
            label=label,
            environment_digest=digest,
            sha256=images[label].sha256,
            recipe=images[label].recipe,
        )
        for label, digest in digests.items()
    )


def _proven_job(job: Job, outcome: JobOutcome) -> ProvenJob:
    return ProvenJob(
        label=job.label,
        network=job.network,
        sudo=job.sudo,
        facts=outcome.facts,
        reused=outcome.reused,
    )


def _parameters(options: BuildOptions, lock: Lock) -> Mapping[str, Parameter]:
    """Return the options that can matter to the artefacts, by their long flags."""
    return {
        **({"accept-drift": True} if options.accept_drift else {}),
        **({} if all(one.vouched for one in lock.environments) else {"unproven-lock": True}),
        "allow-sudo": options.allow_sudo,
        "cache-read-only": options.cache_read_only,
        "commit": dict(options.commits),
        "memory": options.memory,
        "no-cache": not options.use_cache,
        "num-make": options.num_procs,
        "offline": options.offline,
        "scratch": options.scratch,
        "disk": options.disk,
        "upgrade": options.upgrade,
        "url": dict(options.urls),
    }
