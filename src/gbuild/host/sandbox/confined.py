"""From inside a trusted program: run foreign code on a tree, shut in as strictly as a build.

Standard library only. The caller is mapped root already and has one thread; everything the
foreign code leaves running ends with its first process.
"""

from __future__ import annotations

import os
import select
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from gbuild.host.sandbox import kernel, seccomp
from gbuild.host.sandbox.launcher import FAILED, confine, exit_status, start
from gbuild.host.sandbox.layout import Layout, before, steps
from gbuild.host.sandbox.policy import CAPABILITIES, NAMESPACES
from gbuild.host.sandbox.steps import Setup

if TYPE_CHECKING:
    from gbuild.host.sandbox.launcher import Job

_ALL = (1 << 31) - 1


def run_confined(
    layout: Layout,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    directory: str = "/",
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    i386: bool = False,
    timeout: float | None = None,
) -> int:
    """Run ``argv`` as root of the layout's tree; return its status as a shell would give it.

    New pid, net (only a loopback), ipc, uts, mount and cgroup namespaces; seccomp, dropped
    capabilities, no new privileges. Descriptors default to /dev/null; nothing else stays open.
    ``i386``: the tree's programs are 32-bit ones.

    Status 125 with a line on ``stderr``: the sandbox could not be made; 127: no such program;
    124: ended because ``timeout`` seconds were over.
    """
    job: Job = {
        "steps": steps(layout),
        "before": before(layout),
        "filter": seccomp.program(i386_sockets=i386),
        "capabilities": CAPABILITIES,
        "argv": list(argv),
        "env": dict(env),
        "directory": directory,
    }
    streams = [_stream(fd) for fd in (stdin, stdout, stderr)]
    try:
        child = os.fork()
        if child == 0:
            _between(job, streams)
        return _wait(child, timeout)
    finally:
        for descriptor in streams:
            os.close(descriptor)


def _stream(descriptor: int | None) -> int:
    return os.open("/dev/null", os.O_RDWR) if descriptor is None else os.dup(descriptor)


def _wait(child: int, timeout: float | None) -> int:
    ended = os.pidfd_open(child)
    try:
        in_time = select.select([ended], [], [], timeout)[0]
        if not in_time:
            os.kill(child, 9)
        status = exit_status(os.waitpid(child, 0)[1])
        return status if in_time else 124
    finally:
        os.close(ended)


def _between(job: Job, streams: list[int]) -> NoReturn:
    """Make the namespaces, fork their first process and wait for it."""
    status = FAILED
    try:
        kernel.die_with_parent()
        kernel.unshare(NAMESPACES)
        setup = Setup()
        setup.perform(job["before"])
        child = start(lambda: _first(job, setup, streams))
        status = exit_status(os.waitpid(child, 0)[1])
    except OSError as error:
        os.write(streams[2], f"sandbox: {error}\n".encode())
    finally:
        os._exit(status)


def _first(job: Job, setup: Setup, streams: list[int]) -> NoReturn:
    """Be pid 1: set up, start the command, reap until it has ended."""
    try:
        os.setsid()
        kernel.new_session_keyring()
        setup.perform(job["steps"])
        for descriptor, stream in enumerate([os.dup(s) for s in streams]):
            os.dup2(stream, descriptor)
        os.closerange(3, _ALL)
        os.chdir(job["directory"])
        confine(job)
    except OSError as error:
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(FAILED)
    command = os.fork()
    if command == 0:
        _execute(job)
    while True:
        ended, status = os.wait()
        if ended == command:
            os._exit(exit_status(status))


def _execute(job: Job) -> NoReturn:
    try:
        os.execvpe(job["argv"][0], job["argv"], job["env"])
    except OSError as error:
        os.write(2, f"sandbox: {job['argv'][0]}: {error}\n".encode())
    finally:
        os._exit(127)
