"""Check before the start that a build can end: all that is missing is told at once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.engine.inputs import check_inputs
from gbuild.engine.sizes import DEFAULT_DISK
from gbuild.errors import GbuildError, HostFailure
from gbuild.host.memory import meminfo
from gbuild.host.store import Store
from gbuild.model.descriptor import Descriptor
from gbuild.model.options import BuildOptions
from gbuild.target.backend import Backend, Finding

_MIB = 1 << 20
WORKSPACE_ROOM = 64 * _MIB
STORE_ROOM = 512 * _MIB
"""Bytes that must be free where results go, and where images are unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing in the way, and the command or option that mends it."""

    text: str
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the checks look at: free bytes by folder, memory that can be had, in bytes."""

    free: Mapping[Path, int]
    memory: int | None


def look(folders: Iterable[Path]) -> Host:
    """Ask this host for its free space and memory."""
    return Host(free={folder: _free(folder) for folder in folders}, memory=_available_memory())


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _available_memory() -> int | None:
    """Return MemAvailable and free swap in bytes, None where /proc does not say."""
    fields = meminfo()
    if "MemAvailable" not in fields:
        return None
    return fields["MemAvailable"] + fields.get("SwapFree", 0)


def space_problems(host: Host, needs: Mapping[Path, int]) -> tuple[Problem, ...]:
    """Compare the free bytes of folders with what is needed there."""
    return tuple(
        Problem(
            text=f"{need // _MIB} MiB are needed in {folder}, {host.free[folder] // _MIB} are free",
            mend="free some space, or choose another folder with --workspace and --store",
        )
        for folder, need in needs.items()
        if host.free[folder] < need
    )


def memory_problems(host: Host, options: BuildOptions, jobs: int) -> tuple[Problem, ...]:
    """Check that as many targets as run side by side can have their memory."""
    if host.memory is None:
        return ()
    side_by_side = min(options.parallel, jobs)
    need = side_by_side * options.memory * _MIB
    if host.memory >= need:
        return ()
    return (
        Problem(
            text=f"{need // _MIB} MiB of memory are asked for ({side_by_side} x -m "
            f"{options.memory}), {host.memory // _MIB} MiB are available",
            mend="ask for less with -m MIB, or for fewer jobs with --parallel",
        ),
    )


def memory_warnings(host: Host, options: BuildOptions, jobs: int) -> tuple[str, ...]:
    """Warn when the targets could fill their scratch space beyond this host's memory."""
    if host.memory is None or options.scratch != "tmpfs":
        return ()
    disk = DEFAULT_DISK // _MIB if options.disk is None else options.disk
    most = min(options.parallel, jobs) * (options.memory + disk)
    if host.memory >= most * _MIB:
        return ()
    text = (
        f"a build that fills its scratch space would need {most} MiB of memory, "
        f"{host.memory // _MIB} MiB are available; less: --disk MIB, none: --scratch disk"
    )
    return (text,)


def backend_problems(backend: Backend, store: Store) -> tuple[Problem, ...]:
    """Ask a backend what it misses on this host, once for its options and the host's kernel.

    That it missed nothing is noted in the store. What changes later shows when a target does
    not start; :func:`missing` is asked again then.
    """
    record = _record(backend, store)
    if record.exists():
        return ()
    findings = backend.probe()
    found = missing(findings)
    if not found:
        from gbuild.target.capable import REPLACING

        gaps = [
            f"{one.detail}: {one.mend}" for one in findings if one.what == REPLACING and one.mend
        ]
        record.parent.mkdir(exist_ok=True)
        record.write_text("".join(f"{gap}\n" for gap in gaps))
    return found


def backend_warnings(backend: Backend, store: Store, options: BuildOptions) -> tuple[str, ...]:
    """Return what builds in memory cannot do by this host's kernel, as the probe found it."""
    record = _record(backend, store)
    if options.scratch != "tmpfs" or not record.exists():
        return ()
    return tuple(record.read_text().splitlines())


def _record(backend: Backend, store: Store) -> Path:
    options = hashlib.sha256(json.dumps(sorted(backend.options.items())).encode()).hexdigest()
    return store.root / "probed" / f"{backend.name}-{os.getuid()}-{_boot()}-{options[:8]}"


def missing(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Turn what a backend misses on this host into problems."""
    return tuple(
        Problem(text=f"{finding.what}: {finding.detail}", mend=finding.mend)
        for finding in findings
        if finding.state == "missing"
    )


def _boot() -> str:
    """Return what names this start of the kernel, or nothing where it has no name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def input_problems(
    descriptor: Descriptor, options: BuildOptions, *, workspace: Path, store: Store
) -> Callable[[], GbuildError | None]:
    """Return a question whose answer is the error that the inputs would give, without a network."""

    def ask() -> GbuildError | None:
        try:
            check_inputs(descriptor, options, workspace=workspace, store=store)
        except GbuildError as error:
            return error
        return None

    return ask


def refuse(
    problems: Iterable[Problem], *, also: Callable[[], GbuildError | None] = lambda: None
) -> None:
    """Tell every problem at once, and with them the one that ``also`` finds.

    ``also`` is asked only when there is a problem: without one its own time comes.

    Raises:
        HostFailure: there is a problem.
    """
    found = tuple(problems)
    if not found:
        return
    details = tuple(f"{p.text}" + (f"  ({p.mend})" if p.mend else "") for p in found)
    if (other := also()) is not None:
        details = (*details, *other.lines)
    if len(details) == 1:
        raise HostFailure(found[0].text, hint=found[0].mend)
    raise HostFailure("this host is not ready for the build", details=details)
