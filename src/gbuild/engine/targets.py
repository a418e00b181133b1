"""A target that a person wants for themselves: one environment of a descriptor, kept running."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gbuild.engine.bases import bare, chosen, image_of
from gbuild.engine.prepare import Parts, read_descriptor
from gbuild.errors import UsageFailure
from gbuild.model.descriptor import Descriptor
from gbuild.model.names import target_name
from gbuild.target.backend import Limits, TargetInfo, TargetSpec


def start_target(
    path: Path | None,
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
    """Start a detached target from a descriptor's environment, or from a bare suite.

    ``suite`` and ``arch`` may be left out when the descriptor has one only; ``name`` defaults
    to ``<name>-<suite>-<arch>``.

    Raises:
        UsageFailure: the descriptor has no such environment, or several and none was chosen.
        BackendFailure: the target could not be started.
    """
    descriptor, path = _given(path, parts, workspace, suite=suite, arch=arch)
    suite = chosen("suite", suite, descriptor.suites)
    arch = chosen("architecture", arch, descriptor.architectures)
    name = target_name(name or f"{descriptor.name}-{suite}-{arch}")
    image = image_of(descriptor, path, parts, workspace, label=(suite, arch), offline=offline)
    parts.backend.prepare(image)
    spec = TargetSpec(
        name=name,
        image=image,
        user=descriptor.user,
        network=network,
        sudo=descriptor.sudo and allow_sudo,
        scratch=scratch,
        limits=limits,
    )
    return parts.backend.detach(spec)


def _given(
    path: Path | None, parts: Parts, workspace: Path, *, suite: str | None, arch: str | None
) -> tuple[Descriptor, Path]:
    if path is not None:
        return read_descriptor(path, parts.sink), path
    if suite is None or arch is None:
        raise UsageFailure("without a descriptor, --suite and --arch say what to start")
    return bare(workspace, distro=None, suite=suite, arch=arch)
