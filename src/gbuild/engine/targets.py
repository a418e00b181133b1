"""A target that a person wants for themselves: one environment of a descriptor, kept running."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gbuild.engine.locks import find_lock
from gbuild.engine.prepare import Parts, read_descriptor
from gbuild.engine.workspace import Workspace
from gbuild.errors import Bug, UsageFailure
from gbuild.image.provide import ensure
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.image import Image
from gbuild.model.names import target_name
from gbuild.model.options import BuildOptions
from gbuild.target.backend import Limits, TargetInfo, TargetSpec


def start_target(
    path: Path,
    parts: Parts,
    workspace: Path,
    *,
    suite: str | None,
    arch: str | None,
    name: str | None,
    network: bool,
    allow_sudo: bool,
    limits: Limits,
    scratch: Literal["tmpfs", "disk"],
    offline: bool,
) -> TargetInfo:
    """Start a detached target from a descriptor's environment.

    ``suite`` and ``arch`` may be left out when the descriptor has one only; ``name`` defaults
    to ``<name>-<suite>-<arch>``.

    Raises:
        UsageFailure: the descriptor has no such environment, or several and none was chosen.
        BackendFailure: the target could not be started.
    """
    descriptor = read_descriptor(path, parts.sink)
    suite = _chosen("suite", suite, descriptor.suites)
    arch = _chosen("architecture", arch, descriptor.architectures)
    image = _image(descriptor, path, parts, workspace, label=(suite, arch), offline=offline)
    parts.backend.prepare(image)
    spec = TargetSpec(
        name=target_name(name or f"{descriptor.name}-{suite}-{arch}"),
        image=image,
        user=descriptor.user,
        network=network,
        sudo=descriptor.sudo and allow_sudo,
        scratch=scratch,
        limits=limits,
    )
    return parts.backend.detach(spec)


def _image(
    descriptor: Descriptor,
    path: Path,
    parts: Parts,
    workspace: Path,
    *,
    label: tuple[str, str],
    offline: bool,
) -> Image:
    result = Workspace(workspace).result
    result.mkdir(parents=True, exist_ok=True)
    found = find_lock(
        descriptor,
        path,
        BuildOptions(offline=offline),
        result=result,
        store=parts.store,
        sink=parts.sink,
        environment=parts.environment,
    )
    key = f"{label[0]}-{machine_architecture(label[1])}"
    environment = found.lock.environment(key)
    if environment is None:
        raise Bug(f"the lock {found.path} has no environment {key}")
    return ensure(
        environment,
        expected=found.lock.images.get(key, {}),
        store=parts.store,
        idmap=parts.idmap,
        sink=parts.sink,
        offline=offline,
        os_environment=parts.environment,
        repositories=descriptor.repositories,
    )


def _chosen(what: str, wanted: str | None, offered: tuple[str, ...]) -> str:
    if wanted is None and len(offered) == 1:
        return offered[0]
    if wanted in offered and wanted is not None:
        return wanted
    brief = f"choose a {what}" if wanted is None else f"the descriptor has no {what} {wanted}"
    raise UsageFailure(brief, details=(f"it has: {', '.join(offered)}",))
