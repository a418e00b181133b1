"""Plan a build: descriptor, options, inputs and lock in, ordered steps out. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from gbuild.engine.normalise import NORMALISERS
from gbuild.engine.plan_text import describe_step
from gbuild.engine.script import Reference, build_script, reference_of, shell_argv
from gbuild.errors import UsageFailure
from gbuild.formats.lockfile import environment_digest
from gbuild.model.descriptor import Descriptor, machine_architecture
from gbuild.model.lock import Environment, Lock
from gbuild.model.options import BuildOptions
from gbuild.model.plan import (
    CutNetwork,
    GetTree,
    Inputs,
    Job,
    MakeFolders,
    MoveBuild,
    Plan,
    PutFiles,
    PutTree,
    RunScript,
    SetAlternative,
    Step,
)
from gbuild.model.surroundings import USUAL, Surroundings

_FALLBACK_MTIME = 946684800
"""2000-01-01, for the files of a build whose reference time is not a date."""


def plan_build(
    descriptor: Descriptor,
    options: BuildOptions,
    inputs: Inputs,
    lock: Lock,
    surroundings: Surroundings = USUAL,
) -> Plan:
    """Plan every job of a descriptor, in Gitian's order.

    Raises:
        UsageFailure: sudo without its flag, or an environment that the lock does not hold.
        DescriptorInvalid: there is no usable reference time.
    """
    check_sudo(descriptor, options)
    reference = reference_of(descriptor, [r.author_time for r in inputs.remotes])
    request = _Request(descriptor, options, inputs, reference, surroundings)
    jobs = tuple(
        _job(request, f"{suite}-{arch}", _locked(lock, descriptor, suite, arch), arch)
        for suite, arch in descriptor.environments
    )
    digest = _sha256([descriptor.name, *((job.label, job.digest) for job in jobs)])
    return Plan(
        name=descriptor.name, jobs=jobs, digest=digest, warnings=_warnings(descriptor, options)
    )


def check_sudo(descriptor: Descriptor, options: BuildOptions) -> None:
    """Refuse a descriptor that wants sudo unless the person allows it.

    Raises:
        UsageFailure: ``sudo: true`` without ``--allow-sudo``.
    """
    if descriptor.sudo and not options.allow_sudo:
        raise UsageFailure(
            f"{descriptor.stem}.yml wants sudo in the target (sudo: true)",
            details=("its script could then become root inside the target",),
            hint="pass --allow-sudo if you trust this descriptor with that",
        )


def has_network(descriptor: Descriptor, options: BuildOptions) -> bool:
    """Say whether the script may use the network: ``network:``, unless ``--offline``."""
    return descriptor.network != "none" and not options.offline


def cache_folders(descriptor: Descriptor) -> tuple[str, ...]:
    """Name the folders below ``cache/`` that a build uses: its own and the common one."""
    return (descriptor.name, "common") if descriptor.enable_cache else ()


def _warnings(descriptor: Descriptor, options: BuildOptions) -> tuple[str, ...]:
    if descriptor.network is not None or options.offline:
        return ()
    text = (
        f"{descriptor.stem}.yml does not say whether its script needs the network, so it has it, "
        "as in Gitian; add  network: none  (or pass --offline) to build without"
    )
    return (text,)


def _locked(lock: Lock, descriptor: Descriptor, suite: str, arch: str) -> Environment:
    label = f"{suite}-{machine_architecture(arch)}"
    environment = lock.environment(label)
    if environment is None:
        raise UsageFailure(
            f"the lock has no environment {label}",
            details=tuple(f"it has {e.label}" for e in lock.environments),
            hint=f"glock {descriptor.stem}.yml",
        )
    return environment


@dataclass(frozen=True, slots=True)
class _Request:
    """What all jobs of a plan share."""

    descriptor: Descriptor
    options: BuildOptions
    inputs: Inputs
    reference: Reference
    surroundings: Surroundings

    @property
    def user(self) -> str:
        """The build user."""
        return self.surroundings.user or self.descriptor.user

    @property
    def home(self) -> str:
        """The build user's home."""
        return self.surroundings.home or f"/home/{self.user}"


def _job(request: _Request, label: str, environment: Environment, arch: str) -> Job:
    descriptor, options, epoch = request.descriptor, request.options, request.reference.epoch
    job = Job(
        label=label,
        environment=environment.label,
        environment_digest=environment_digest(environment),
        user=request.user,
        network=has_network(descriptor, options),
        sudo=descriptor.sudo and options.allow_sudo,
        scratch=options.scratch,
        mtime=_FALLBACK_MTIME if epoch is None else epoch,
        steps=tuple(_steps(request, _run_script(request, environment, arch))),
        surroundings=request.surroundings,
    )
    return replace(job, digest=_sha256(_essence(job)))


def _run_script(request: _Request, environment: Environment, arch: str) -> RunScript:
    script = build_script(
        request.descriptor,
        architecture=arch,
        reference=request.reference,
        num_procs=request.options.num_procs,
        memory=request.options.memory,
        has_git=any(package.name == "git" for package in environment.packages),
        surroundings=request.surroundings,
    )
    return RunScript(argv=shell_argv(arch, request.surroundings), script=script)


def _steps(request: _Request, script: RunScript) -> list[Step]:
    descriptor, options, inputs = request.descriptor, request.options, request.inputs
    home = request.home
    caches = cache_folders(descriptor)
    folders = ["build", "out", "inst", *(f"cache/{folder}" for folder in caches)]
    steps: list[Step] = [*_build_folder(request)]
    made = folders[1:] if steps else folders
    steps.append(MakeFolders(paths=tuple(f"{home}/{folder}" for folder in made)))
    if inputs.files:
        steps.append(PutFiles(files=inputs.files, dest=f"{home}/build"))
    if inputs.tools:
        steps.append(PutFiles(files=inputs.tools, dest=f"{home}/{NORMALISERS}"))
    steps += [
        PutTree(
            source=r.checkout,
            dest=f"{home}/build/{r.dir}",
            digest=f"git:{r.commit} sha256:{r.tree_sha256}",
        )
        for r in inputs.remotes
    ]
    steps += [
        PutTree(source=c.path, dest=f"{home}/cache/{c.folder}", digest=c.digest)
        for c in (inputs.caches if options.use_cache else ())
    ]
    steps += [SetAlternative(name=a.package, path=a.path) for a in descriptor.alternatives]
    if not has_network(descriptor, options):
        steps.append(CutNetwork())
    steps += [script, GetTree(source=f"{home}/out", role="out", folder="out")]
    if options.use_cache and not options.cache_read_only:
        steps += [
            GetTree(source=f"{home}/cache/{folder}", role="cache", folder=folder)
            for folder in caches
        ]
    return steps


def _build_folder(request: _Request) -> list[Step]:
    """Return the step that puts the build folder elsewhere than usual, if it is to be there."""
    path, link = request.surroundings.build_path, f"{request.home}/build"
    return [] if path is None or path == link else [MoveBuild(path=path, link=link)]


def _essence(job: Job) -> object:
    """List what decides a job's artefacts; no path of this host is in it."""
    usual = job.surroundings == USUAL
    return [
        job.label,
        job.environment_digest,
        job.user,
        job.network,
        job.sudo,
        job.scratch,
        job.mtime,
        [describe_step(step) for step in job.steps],
        *(() if usual else (repr(job.surroundings),)),
    ]


def _sha256(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
