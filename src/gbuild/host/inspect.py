"""Let a program of this host look at files that nobody trusts: bounded, shut in, without network.

The program gets copies. It runs in user, mount, pid, ipc, uts, network and cgroup namespaces of
its own, with a filter of system calls; it can write to a tmpfs only.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import HostFailure, TimedOut
from gbuild.host import cgroup, sandbox
from gbuild.host.idmap import IdMap, current
from gbuild.host.process import CLEAN_ENVIRONMENT, run, which
from gbuild.host.sandbox.trusted import run_trusted

_PROGRAM = Path(sandbox.__file__).parent / "inspector.py"
_MEBI = 1 << 20
_SLACK = 30.0
"""Seconds to make and to end the namespaces, on a busy host."""

LATE = 124
"""The status of a program that was ended because its time was over."""

_turn = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What an inspection may use: bytes, processes, seconds.

    ``memory`` is for each process, and for all of them together where this host allows control
    groups; ``scratch`` is what they may write, ``report`` what they may say.
    """

    seconds: float = 120.0
    memory: int = 1024 * _MEBI
    scratch: int = 512 * _MEBI
    processes: int = 128
    report: int = 16 * _MEBI


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """How it ended (a status as a shell gives it), what it said, and the end of its complaints.

    ``whole`` is false when the report was longer than its bound.
    """

    status: int
    report: bytes
    whole: bool
    complaint: str


def inspect(
    argv: Sequence[str],
    files: Mapping[str, Path],
    bounds: Bounds,
    *,
    confined: bool = True,
    began: Callable[[int], None] | None = None,
) -> Inspected:
    """Run ``argv`` in a folder that has copies of ``files``, by their names below it.

    Not ``confined``: without namespaces; only each process is bounded. ``began`` is called with
    the pid of a process whose end is the end of all the rest, when it is confined.

    Raises:
        HostFailure: this host gives no user map or namespaces, or a file cannot be read.
        BackendFailure: the namespaces could not be made.
        MissingTool: not ``confined``, and prlimit(1) is missing.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gbuild-inspect-")))
        users = current(os.environ) if confined else None
        try:
            _copy(files, folder, users)
        except OSError as error:
            raise HostFailure(f"no copies to look at: {error}") from error
        if users is None:
            return _bounded_only(argv, folder, bounds)
        group = _group(stack, bounds)

        def enter(pid: int) -> None:
            group(pid)
            if began is not None:
                began(pid)

        plan = _plan(argv, folder, bounds)
        try:
            done = run_trusted(
                users,
                _PROGRAM,
                (),
                folders=(folder,),
                stdin=json.dumps(plan).encode(),
                timeout=bounds.seconds + _SLACK,
                enter=enter,
            )
        except TimedOut as late:
            return Inspected(status=LATE, report=b"", whole=False, complaint=str(late))
    return _inspected(done.returncode, done.stdout, done.stderr, bounds)


def _plan(argv: Sequence[str], folder: Path, bounds: Bounds) -> Mapping[str, object]:
    return {
        "argv": list(argv),
        "files": str(folder),
        "env": _environment("/tmp"),
        "seconds": math.ceil(bounds.seconds),
        "memory": bounds.memory,
        "processes": bounds.processes,
        "scratch": bounds.scratch,
        "report": bounds.report,
    }


def _environment(scratch: str) -> dict[str, str]:
    own = {"HOME": scratch, "TMPDIR": scratch, "TZ": "UTC0", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**CLEAN_ENVIRONMENT, **own}


def _group(stack: ExitStack, bounds: Bounds) -> Callable[[int], None]:
    """Bound all processes together, where this host allows it; return what puts one in."""
    caps = cgroup.Caps(memory=bounds.memory + bounds.scratch, processes=bounds.processes)
    name = f"inspect~{os.getpid()}~{next(_turn)}"
    group = cgroup.make(name, caps, cgroup.places())
    stack.callback(group.remove)
    return group.add


def _copy(files: Mapping[str, Path], folder: Path, users: IdMap | None) -> None:
    """Make copies that the mapped root, and nobody else, can reach."""
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    if users is None or os.geteuid() != 0:
        return
    owner = users.outside(0)
    for here, _, names in os.walk(folder):
        for name in (".", *names):
            os.chown(Path(here, name), owner, owner)


def _bounded_only(argv: Sequence[str], folder: Path, bounds: Bounds) -> Inspected:
    limits = {
        "data": bounds.memory,
        "fsize": bounds.scratch // 2,
        "cpu": math.ceil(bounds.seconds),
        "core": 0,
    }
    words = [
        str(which("prlimit", package="util-linux")),
        *(f"--{name}={value}" for name, value in limits.items()),
        *argv,
    ]
    try:
        done = run(
            words,
            env=_environment(str(folder)),
            cwd=folder,
            timeout=bounds.seconds,
            check=False,
            lingering=True,  # to files: the limit on their size is one on the output, too
        )
    except TimedOut as late:
        return Inspected(status=LATE, report=b"", whole=False, complaint=str(late))
    return _inspected(done.returncode, done.stdout, done.stderr, bounds)


def _inspected(status: int, out: bytes, err: bytes, bounds: Bounds) -> Inspected:
    return Inspected(
        status=status,
        report=out[: bounds.report],
        whole=len(out) <= bounds.report,
        complaint=err[-4000:].decode(errors="replace"),
    )
