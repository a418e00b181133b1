"""One build from its descriptor to its report: the order of everything that gbuild does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.engine import preflight
from gbuild.engine.locks import FoundLock
from gbuild.engine.planner import check_sudo
from gbuild.engine.prepare import Parts, Prepared, prepare, read_descriptor
from gbuild.engine.workspace import Workspace
from gbuild.image.provide import download, ensure
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.model.options import BuildOptions
from gbuild.model.outcome import BuildOutcome
from gbuild.model.plan import Plan

__all__ = ["Parts", "Ready", "build", "elsewhere", "make_ready", "plan_only", "read_descriptor"]


def plan_only(path: Path, options: BuildOptions, parts: Parts, root: Path) -> Plan:
    """Do everything up to the plan: inputs are fetched, packages resolved, nothing is started."""
    workspace = Workspace(root)
    with workspace.locked(wait=options.wait):
        descriptor = read_descriptor(path, parts.sink)
        check_sudo(descriptor, options)
        return prepare(descriptor, path, options, parts, workspace).plan


@dataclass(frozen=True, slots=True)
class Ready:
    """A planned build whose inputs, packages and images (by the lock's label) are at hand."""

    prepared: Prepared
    images: Mapping[str, Image]


def make_ready(path: Path, options: BuildOptions, parts: Parts, workspace: Workspace) -> Ready:
    """Do everything up to the first target, in a workspace that is held.

    Raises:
        GbuildError: see :mod:`gbuild.errors`.
    """
    descriptor = read_descriptor(path, parts.sink)
    check_sudo(descriptor, options)
    _check_host(descriptor, options, parts, workspace)
    prepared = prepare(descriptor, path, options, parts, workspace)
    return Ready(prepared, _images(prepared, parts, options))


def elsewhere(
    ready: Ready, parts: Parts, options: BuildOptions, *, found: FoundLock | None = None
) -> Ready:
    """Return the same build for another backend (``parts``), or with the packages of ``found``.

    Raises:
        GbuildError: an image cannot be had.
    """
    prepared = replace(ready.prepared, found=found or ready.prepared.found)
    return Ready(prepared, _images(prepared, parts, options))


def build(path: Path, options: BuildOptions, parts: Parts, root: Path) -> BuildOutcome:
    """Build a descriptor in the workspace ``root`` and write its report.

    Raises:
        GbuildError: see :mod:`gbuild.errors`; several failed jobs give one error that lists
            them all, of the first one's kind.
    """
    workspace = Workspace(root)
    with workspace.locked(wait=options.wait):
        ready = make_ready(path, options, parts, workspace)
        workspace.open_build(keep=options.resume)
        from gbuild.engine.jobs import run_jobs

        outcomes = run_jobs(ready.prepared.plan, ready.images, options, parts, workspace)
        from gbuild.engine.finish import finish

        return finish(ready.prepared, ready.images, outcomes, options, workspace)


def _check_host(
    descriptor: Descriptor, options: BuildOptions, parts: Parts, workspace: Workspace
) -> None:
    """Refuse, before anything is fetched, what this host cannot bring to an end."""
    workspace.check_build()
    needs = {workspace.root: preflight.WORKSPACE_ROOM, parts.store.root: preflight.STORE_ROOM}
    host = preflight.look(needs)
    jobs = len(descriptor.environments)
    preflight.refuse(
        [
            *preflight.backend_problems(parts.backend, parts.store),
            *preflight.space_problems(host, needs),
            *preflight.memory_problems(host, options, jobs),
        ],
        also=preflight.input_problems(
            descriptor, options, workspace=workspace.root, store=parts.store
        ),
    )
    for text in (
        *preflight.memory_warnings(host, options, jobs),
        *preflight.backend_warnings(parts.backend, parts.store, options),
    ):
        parts.sink(Event("warning", text))


def _images(prepared: Prepared, parts: Parts, options: BuildOptions) -> Mapping[str, Image]:
    """Have every image at hand, by the lock's label."""
    images: dict[str, Image] = {}
    descriptor = prepared.descriptor
    named = zip(descriptor.suites, descriptor.docker_image_digests, strict=False)
    parts.backend.given(dict(named))
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
        if parts.backend.foreign(images[label]):
            download(
                environment,
                store=parts.store,
                sink=parts.sink,
                os_environment=parts.environment,
                offline=options.offline,
                repositories=prepared.descriptor.repositories,
            )
    return images
