"""Images made ahead of builds, for a descriptor or for a bare suite."""

from __future__ import annotations

from pathlib import Path

from gbuild.engine import preflight
from gbuild.engine.locks import find_lock
from gbuild.engine.prepare import Parts, read_descriptor
from gbuild.engine.workspace import Workspace
from gbuild.errors import Bug, UsageFailure
from gbuild.image import suites
from gbuild.image.provide import ensure
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.image import Image
from gbuild.model.options import BuildOptions

_ARCHITECTURES = ("amd64", "i386")


def bases_of(
    path: Path,
    parts: Parts,
    workspace: Path,
    *,
    suite: str | None,
    arch: str | None,
    offline: bool,
) -> tuple[Image, ...]:
    """Have the images of a descriptor, all or those of one suite or architecture, prepared.

    Raises:
        UsageFailure: the descriptor has no such environment.
        HostFailure: the backend cannot work here.
    """
    preflight.refuse(preflight.backend_problems(parts.backend, parts.store))
    descriptor = read_descriptor(path, parts.sink)
    if suite is not None:
        chosen("suite", suite, descriptor.suites)
    if arch is not None:
        chosen("architecture", arch, descriptor.architectures)
    wanted = [
        label
        for label in descriptor.environments
        if suite in (None, label[0]) and arch in (None, label[1])
    ]
    return tuple(
        prepared(image_of(descriptor, path, parts, workspace, label=label, offline=offline), parts)
        for label in wanted
    )


def bare_base(
    parts: Parts, workspace: Path, *, distro: str | None, suite: str, arch: str, offline: bool
) -> Image:
    """Have the image of a suite with the base's packages alone, prepared for the backend.

    Raises:
        UsageFailure: the suite or the distribution is not known.
        HostFailure: the backend cannot work here.
    """
    preflight.refuse(preflight.backend_problems(parts.backend, parts.store))
    descriptor, path = bare(workspace, distro=distro, suite=suite, arch=arch)
    label = (suite, arch)
    image = image_of(descriptor, path, parts, workspace, label=label, offline=offline)
    return prepared(image, parts)


def bare(workspace: Path, *, distro: str | None, suite: str, arch: str) -> tuple[Descriptor, Path]:
    """Return a descriptor that asks for nothing, and where its lock is kept.

    That is ``result/base-<suite>-<arch>.lock`` in the workspace. The distribution may be left
    out: suites have different names.
    """
    distro = distro or suites.distribution_of(suite)
    suites.suite(distro, suite)
    if arch not in _ARCHITECTURES:
        raise UsageFailure(
            f"unknown architecture: {arch}", details=(f"known: {', '.join(_ARCHITECTURES)}",)
        )
    name = f"base-{suite}-{arch}"
    descriptor = Descriptor(
        source=b"",
        stem=name,
        name=name,
        distro=distro,
        suites=(suite,),
        architectures=(arch,),
        script="",
    )
    return descriptor, Workspace(workspace).result / f"{name}.yml"


def prepared(image: Image, parts: Parts) -> Image:
    """Bring an image into the backend's shape and return it."""
    parts.backend.prepare(image)
    return image


def image_of(
    descriptor: Descriptor,
    path: Path,
    parts: Parts,
    workspace: Path,
    *,
    label: tuple[str, str],
    offline: bool,
) -> Image:
    """Have the image of one environment at hand, from the lock or today's packages."""
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


def chosen(what: str, wanted: str | None, offered: tuple[str, ...]) -> str:
    """Return the one that is wanted, or the only one.

    Raises:
        UsageFailure: there are several, or not that one.
    """
    if wanted is None and len(offered) == 1:
        return offered[0]
    if wanted in offered and wanted is not None:
        return wanted
    brief = f"choose a {what}" if wanted is None else f"the descriptor has no {what} {wanted}"
    raise UsageFailure(brief, details=(f"it has: {', '.join(offered)}",))
