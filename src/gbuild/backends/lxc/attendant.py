"""The process beside a container: it calls the liblxc tools; runs alone, from the standard library.

It is the first process of a pid namespace of its own, and mapped root: when it ends, however it
ends, so does everything that liblxc has started. What the tools write lies on mounts that nobody
else sees. It answers requests as a sandbox's first process does, by ``lxc-attach``.
"""

from __future__ import annotations

import array
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from gbuild.host.sandbox import kernel, launcher

if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from gbuild.host.sandbox.launcher import Job
    from gbuild.host.sandbox.steps import Setup, Step

_SOCKET, _RIGHTS = 1, 1  # SOL_SOCKET, SCM_RIGHTS
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def main(job: Job, setup: Setup, control: _socket.socket) -> NoReturn:
    """Make the root, start the container in it, say so, and serve."""
    try:
        os.setsid()
        kernel.new_session_keyring()
        setup.perform(job["steps"])
        _furnish(setup, job["inside"])
        setup.perform(job["process"])
        setup.forget()
        control = launcher.only_own_descriptors(control)
        _call(job["start"], job["log"])
        container = os.pidfd_open(_first_process())
    except OSError as error:
        launcher.fail(control, error)
    rights = (_SOCKET, _RIGHTS, array.array("i", [container]))
    control.sendmsg([b"ready"], [rights])
    launcher.attend(job["daemon"], control, until=container)


def _furnish(setup: Setup, steps: Sequence[Step]) -> None:
    """Complete the root in a process of its own, which leaves this host's files for it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            setup.perform(steps)
        except OSError as error:
            os.write(theirs, str(error).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    failure = os.read(ours, 4096)
    os.close(ours)
    os.waitpid(child, 0)
    if failure:
        raise OSError(failure.decode(errors="replace"))


def _call(argv: list[str], log: str) -> None:
    """Run a tool to its end.

    Raises:
        OSError: it failed; says what it noted in its log.
    """
    child = os.fork()
    if child == 0:
        try:
            kernel.default_signals()
            os.execve(argv[0], argv, _ENVIRONMENT)  # noqa: S606 - its purpose
        finally:
            os._exit(127)
    if (status := launcher.exit_status(os.waitpid(child, 0)[1])) != 0:
        raise OSError(f"{os.path.basename(argv[0])} ended with {status}: {_complaints(log)}")


def _first_process() -> int:
    """Find the container's first process: it is number 1 in a pid namespace below ours.

    What ``lxc-info`` says, without the time that it takes.
    """
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            numbers = next(line.split()[1:] for line in stream if line.startswith("NSpid:"))
        if len(numbers) > 1 and numbers[-1] == "1":
            return int(pid)
    raise OSError("the container ended at once")


def _complaints(log: str) -> str:
    """Return the first errors of a log, without dates and places in liblxc's sources."""
    try:
        with open(log, encoding="utf-8", errors="replace") as stream:
            lines = [line for line in stream if " ERROR " in line]
    except OSError as error:
        return str(error)
    return "; ".join(line.rpartition(" - ")[2].strip() for line in lines[:3])


if __name__ == "__main__":
    sys.exit("this is loaded by gbuild's launcher")
