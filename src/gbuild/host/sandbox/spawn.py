"""gbuild's side of a launcher: start it, give it its user maps, hear how it went."""

from __future__ import annotations

import marshal
import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import BackendFailure
from gbuild.host.idmap import IdMap

if TYPE_CHECKING:
    from gbuild.host.sandbox.launcher import Job

_SOURCES = Path(__file__).parents[3]
_START = (
    "import _socket, sys; control = _socket.socket(fileno=int(sys.argv[1]));"
    "sys.path.append(control.recv(4096).decode());"
    "from gbuild.host.sandbox.launcher import main; main(control)"
)
"""The path of the sources comes over the socket: the inside can read the first process's argv."""
_LINE = 4096
_STEP_TIMEOUT = 60.0
_END_TIMEOUT = 10.0


class Launcher:
    """A launcher process and our end of its control socket.

    Closing the control socket ends everything below the launcher; so does the death of this
    process, however it dies.
    """

    def __init__(
        self,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(_STEP_TIMEOUT)  # whatever happens inside, we never hang
        with theirs:
            self.process = subprocess.Popen(
                _command(theirs.fileno()),
                env={},
                cwd="/",
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(theirs.fileno(), *pass_fds),
                start_new_session=True,
            )

    def send(self, job: Job) -> None:
        """Hand over the place of the sources and the job."""
        self.control.send(os.fsencode(_SOURCES))
        self.control.send(marshal.dumps(dict(job)))

    def map_users(self, idmap: IdMap) -> None:
        """Write the user maps as soon as the launcher has its user namespace."""
        self.expect(b"unshared")
        idmap.apply(self.process.pid)
        self.control.send(b"mapped")

    def expect(self, wanted: bytes, *, timeout: float = _STEP_TIMEOUT) -> None:
        """Wait for one message.

        Raises:
            BackendFailure: the launcher failed, ended or was silent for ``timeout`` seconds.
        """
        if not select.select([self.control], [], [], timeout)[0]:
            raise BackendFailure(f"the sandbox did not say {wanted.decode()} in {timeout:g} s")
        message = self.control.recv(_LINE)
        if message != wanted:
            why = message.decode(errors="replace").removeprefix("failed ")
            raise BackendFailure("the sandbox could not be made", details=(why or "it died",))

    @property
    def failure(self) -> str:
        """What the launcher complained about, or nothing."""
        if not select.select([self.control], [], [], 0)[0]:
            return ""
        return self.control.recv(_LINE).decode(errors="replace").removeprefix("failed ")

    def end(self) -> int:
        """End everything and return the launcher's status; a second call does nothing more."""
        self.control.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            return self.process.wait(timeout=_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _command(control: int) -> tuple[str, ...]:
    python = os.path.realpath(sys.executable)
    return (python, "-I", "-S", "-c", _START, str(control))
