"""OpenSSH to the host of a libvirt elsewhere, with the words that libvirt itself gives it.

libvirt's own connection goes the same way (its manual, "Remote support", transport ``ssh``). Ours
reach what libvirt has no call for: the port of that host's loopback where a target's SSH server
answers (``ssh -W``), whether the target has a network or not.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gbuild.errors import BackendFailure, GbuildError, HostFailure, TimedOut
from gbuild.host.process import run, which
from gbuild.host.stream import begin

_OPTIONS = (
    *("-T", "-e", "none"),
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=10"),
    *("-o", "ServerAliveCountMax=3"),
)
_PATIENCE = 60.0
_STATUS_OF_SSH = 255
_PASSED = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME")
"""What of this process's environment ssh gets: libvirt's list but for what asks a person."""

_DATA = """sh -c 'printf "%s\\n" "${XDG_DATA_HOME:-$HOME/.local/share}"'"""
"""In a plain shell, whatever the person's own is: libvirt's way in does so, too."""

_REFUSALS = (
    (
        ("identification has changed",),
        "{host} shows another SSH host key than the one known here",
        "if its administrator confirms it: ssh-keygen -R {known}; then once by hand: ssh {where}",
    ),
    (
        ("host key verification failed",),
        "the SSH host key of {host} is not known here",
        "log in once by hand and compare the fingerprint that it shows: ssh {where}",
    ),
    (
        ("permission denied", "too many authentication failures"),
        "{host} lets no SSH key of yours in",
        "ssh-copy-id {where}; a key with a passphrase needs ssh-add, too: nobody is asked here",
    ),
)
"""What ssh says, in lower case, what that means, and what mends it."""

_UNREACHABLE = (
    "{host} cannot be reached by SSH",
    "this must work without a question: ssh {where} true",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """The way to a host; None leaves a thing to the person's own configuration of ssh."""

    host: str
    user: str | None = None
    port: int | None = None
    key: str | None = None
    program: str | None = None

    def look(self) -> str:
        """Log in, and return the folder where the person over there keeps data (XDG).

        Raises:
            HostFailure: nobody lets us in; says how to mend it.
        """
        try:
            done = run(
                (*self._words(), "--", self.host, _DATA),
                env=_environment(),
                timeout=_PATIENCE,
                check=False,
            )
        except TimedOut as error:
            raise self.refusal((error.brief,)) from error
        if done.returncode == _STATUS_OF_SSH:
            raise self.refusal(done.stderr.decode(errors="replace").splitlines())
        return done.stdout.decode(errors="replace").rpartition("\n")[0].rpartition("\n")[2]

    def reach(self, port: int, heard: deque[str]) -> socket.socket:
        """Return a stream to a port of that host's loopback.

        Raises:
            HostFailure: nobody lets us in any more.
            BackendFailure: that host's SSH server forwards nothing.
            OSError: nobody answers there yet.
        """
        words = (*self._words(), "-W", f"127.0.0.1:{port}", "--", self.host)
        stream, waiter = begin(
            words, heard, name=f"ssh-{self.host}", env=_environment(), own_session=True
        )
        stream.settimeout(_PATIENCE)
        try:
            answered = stream.recv(1, socket.MSG_PEEK)
        except OSError:
            stream.close()
            raise
        if answered:
            stream.settimeout(None)
            return stream
        stream.close()
        waiter.join(_PATIENCE)
        raise self._silence(tuple(heard))

    def refusal(self, said: Iterable[str]) -> HostFailure:
        """Return the error for what ssh said when it did not get in."""
        lines = tuple(line.strip() for line in said if line.strip(" @\r\n"))
        text = "\n".join(lines).lower()
        found = (one for marks, *one in _REFUSALS if any(mark in text for mark in marks))
        brief, hint = next(found, _UNREACHABLE)
        where = " ".join((*self._where(), self.host))
        known = self.host if self.port in (None, 22) else f"'[{self.host}]:{self.port}'"
        return HostFailure(
            brief.format(host=self.host),
            details=lines[-6:],
            hint=hint.format(where=where, known=known),
        )

    def _silence(self, heard: tuple[str, ...]) -> GbuildError | OSError:
        text = "\n".join(heard).lower()
        if "prohibited" in text:
            return BackendFailure(
                f"the SSH server of {self.host} does not forward to a target",
                details=heard,
                hint="in its sshd_config: AllowTcpForwarding local, PermitOpen 127.0.0.1:*",
            )
        refusals = ("host key", "permission denied", "connect to host", "could not resolve")
        if any(word in text for word in refusals):
            return self.refusal(heard)
        said = heard[-1] if heard else "the stream ended"
        return ConnectionRefusedError(f"the target's SSH server does not answer ({said})")

    def _words(self) -> tuple[str, ...]:
        program = self.program or str(which("ssh", package="openssh-client"))
        return (program, *self._where(), *_OPTIONS)

    def _where(self) -> tuple[str, ...]:
        return (
            *(("-p", str(self.port)) if self.port else ()),
            *(("-l", self.user) if self.user else ()),
            *(("-i", self.key) if self.key else ()),
        )


def _environment() -> Mapping[str, str]:
    return {name: os.environ[name] for name in _PASSED if name in os.environ}
