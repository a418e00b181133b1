"""Run one helper program of this host that must not outlive gbuild, however gbuild ends.

Standard library only; runs alone. The death signal of prctl(2) does not do: it is lost when the
helper changes its user or its user namespace.
"""

from __future__ import annotations

import os
import select
import sys

from gbuild.host.sandbox import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run ``argv[2:]`` until it ends or our standard input is closed at its other end."""
    os.setsid()
    command = sys.argv[2:]
    child = os.fork()
    if child == 0:
        try:
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            kernel.default_signals()  # pasta takes an ignored SIGPIPE for a failure
            os.execv(command[0], command)
        finally:
            os._exit(127)
    ended = os.pidfd_open(child)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(0, 0)
    while not any(descriptor == ended for descriptor, _ in poller.poll()):
        os.kill(child, 9)
        poller.unregister(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)
