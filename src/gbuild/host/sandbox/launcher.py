"""The process between gbuild and a sandbox; runs alone, from the standard library only.

::

    gbuild ──control── launcher (new user namespace, outside the sandbox's pid namespace)
                           └── init (pid 1 of the sandbox) ── sshd, or one command

The launcher reads one job from the control socket, makes the namespaces, waits until gbuild has
written the user maps, forks init and then only watches: when gbuild's end of the control socket
closes, however gbuild died, it kills init, and the kernel everything below it.

Control messages (one datagram each): a job (marshal) in; ``unshared`` out, ``mapped`` in;
``ready`` or ``failed <why>`` out; then per connection ``ssh`` with one descriptor in. Nothing
that comes out of a sandbox is more than a short line of text.

An attendant (a program of ours with ``main(job, setup, control)``) may take init's place, and do
what it does with other means.
"""

from __future__ import annotations

import _socket
import marshal
import os
import select
import sys

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.steps import Setup, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypedDict

    class Job(TypedDict, total=False):
        """What the launcher is asked to do; all but ``namespaces`` may be absent."""

        namespaces: int
        mapped: bool
        clocks: str
        before: list[Step]
        steps: list[Step]
        sudo: bool
        filter: bytes
        capabilities: int
        argv: list[str]
        env: dict[str, str]
        directory: str
        user: int
        program: str
        folders: list[str]
        daemon: list[str]
        attendant: str
        inside: list[Step]
        process: list[Step]
        start: list[str]
        log: str


_CONTROL = 3
_MESSAGE = 1 << 20
_ALL = (1 << 31) - 1
FAILED = 125
"""Exit status when the sandbox itself could not be made."""


def main(control: _socket.socket) -> NoReturn:
    """Serve the one job that comes over ``control``."""
    os.set_inheritable(control.fileno(), False)
    job: Job = marshal.loads(control.recv(_MESSAGE))
    os.umask(0o022)
    try:
        run = _stage(job, control)
        kernel.unshare(job["namespaces"])
        setup = Setup()
        setup.perform(job.get("before", []))
        if job.get("mapped"):
            _become_root(control)
        if "clocks" in job:
            _set_clocks(job["clocks"])
        child = start(lambda: run(setup))
    except OSError as error:
        fail(control, error)
    setup.forget()
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    os._exit(_watch(child, control))


def _stage(job: Job, control: _socket.socket) -> Callable[[Setup], NoReturn]:
    """Choose what init does; a program is loaded now, while its file can be read."""
    if "attendant" in job:
        from gbuild.host.sandbox import program

        main = program.module_of(job["attendant"]).main
        return lambda setup: main(job, setup, control)
    if "program" in job:
        from gbuild.host.sandbox import program

        entry = program.load(job["program"])
        return lambda setup: program.run(entry, job["argv"], setup, job["folders"], control)
    return lambda setup: _serve(job, setup, control)


def _become_root(control: _socket.socket) -> None:
    """Wait for the user maps, then become root in them."""
    control.send(b"unshared")
    if control.recv(16) != b"mapped":
        raise OSError("gbuild went away")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    kernel.set_dumpable(True)  # else /proc/self belongs to a user outside our map


def _set_clocks(offsets: str) -> None:
    with open("/proc/self/timens_offsets", "w", encoding="utf-8") as stream:
        stream.write(offsets)


def start(init: Callable[[], NoReturn]) -> int:
    """Fork the first process of the new pid namespace; return its pid."""
    child = os.fork()
    if child == 0:
        try:
            kernel.die_with_parent()
            init()
        finally:
            os._exit(FAILED)
    return child


def _watch(child: int, control: _socket.socket) -> int:
    """Wait until init ends, or gbuild goes away: then end init. Return init's status."""
    ended = os.pidfd_open(child)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(control, 0)  # only the hang-up, which is always reported
    while not any(descriptor == ended for descriptor, _ in poller.poll()):
        os.kill(child, 9)
        poller.unregister(control)
    return exit_status(os.waitpid(child, 0)[1])


def exit_status(status: int) -> int:
    """Turn a wait status into a shell's: 128 and the number for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def fail(control: _socket.socket, error: OSError) -> NoReturn:
    """Say why the sandbox could not be made, and end."""
    control.send(f"failed {error}".encode()[:500])
    os._exit(FAILED)


def _serve(job: Job, setup: Setup, control: _socket.socket) -> NoReturn:
    """Be pid 1 of a sandbox that answers SSH."""
    try:
        os.setsid()
        kernel.new_session_keyring()
        setup.perform(job["steps"])
        control = only_own_descriptors(control)
        confine(job)
    except OSError as error:
        fail(control, error)
    control.send(b"ready")
    attend(job["daemon"], control)


def only_own_descriptors(control: _socket.socket) -> _socket.socket:
    """Keep 0, 1 and 2 on /dev/null and the control socket as 3; close whatever else is open."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.dup2(control.detach(), _CONTROL, inheritable=False)
    os.closerange(_CONTROL + 1, _ALL)
    return _socket.socket(fileno=_CONTROL)


def confine(job: Job) -> None:
    """Give up, for this process and all that follow, what a build must not have."""
    kernel.default_signals()
    kernel.set_dumpable(False)
    if not job.get("sudo"):
        kernel.no_new_privileges()
    kernel.keep_capabilities(job["capabilities"])
    kernel.install_filter(job["filter"])
    kernel.set_capabilities(job["capabilities"])


def attend(daemon: list[str], control: _socket.socket, *, until: int | None = None) -> NoReturn:
    """Reap what ends and serve requests, for ever or until the pidfd ``until`` has ended."""
    ended = kernel.watch_children()
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(ended, select.POLLIN)
    if until is not None:
        poller.register(until, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if until in ready:
            os._exit(0)
        if ended in ready:
            os.read(ended, 4096)
            _reap()
        if _CONTROL in ready:
            _serve_request(daemon, control)


def _serve_request(daemon: list[str], control: _socket.socket) -> None:
    message, ancillary, _, _ = control.recvmsg(16, _socket.CMSG_SPACE(4))
    if not message:
        os._exit(0)
    for _, _, data in ancillary:
        _answer(daemon, int.from_bytes(data[:4], sys.byteorder))


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _answer(daemon: list[str], stream: int) -> None:
    """Let the SSH server speak on a stream."""
    try:
        if os.fork() == 0:
            try:
                os.dup2(stream, 0)
                os.dup2(stream, 1)
                os.closerange(_CONTROL, _ALL)
                os.setsid()
                kernel.default_signals()
                os.execve(daemon[0], daemon, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
            finally:
                os._exit(127)
    except BlockingIOError:  # the limit of processes is reached: the caller sees the end
        pass
    os.close(stream)
