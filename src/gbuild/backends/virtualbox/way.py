"""The person's own way into a machine of theirs: OpenSSH as root, to a forwarded port.

The SSH server at its end is the person's. What a build needs beyond that (our keys, our settings)
runs as a second server over this way, so that scripts see there what they see everywhere.
"""

from __future__ import annotations

import shlex
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import BackendFailure, TimedOut
from gbuild.host.process import Completed, run, which
from gbuild.host.stream import begin

_STATUS_OF_SSH = 255
_TRIES = 3
_TRY = 20.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_OPTIONS = (
    *("-F", "/dev/null", "-T"),
    *("-o", "BatchMode=yes"),
    *("-o", "IdentitiesOnly=yes"),
    *("-o", "IdentityAgent=none"),
    *("-o", "GlobalKnownHostsFile=/dev/null"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "LogLevel=ERROR"),
    *("-o", "ConnectTimeout=40"),
    *("-o", "KexAlgorithms=^curve25519-sha256,curve25519-sha256@libssh.org"),
)
"""The quick key exchange goes first: ssh's own first choice takes a quarter of a second of a
processor, to keep secret for decades what does not leave this host."""

_FINAL = (
    ("bad permissions", "ssh refuses the key {key}"),  # it then says "permission denied", too
    ("permission denied", "the machine refuses the key {key} for {user}"),
    ("host key verification failed", "the machine shows another SSH host key than before"),
    ("host identification has changed", "the machine shows another SSH host key than before"),
    ("no such identity", "there is no key {key}"),
    ("invalid format", "ssh cannot read the key {key}"),
    ("error in libcrypto", "ssh cannot read the key {key}"),
)
"""What ssh says when another try would change nothing, in lower case."""

_NOT_YET = ("kex_exchange_identification", "banner exchange", "connect to host")
"""What ssh says when nobody has heard of the command yet, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How root of a machine is reached.

    ``port`` is this host's, ``key`` the private key's file, ``known`` the file that remembers
    host keys by ``alias``: from the first contact on, or when it is ``pinned`` from before. Boxes
    let in another user first.
    """

    port: int
    key: Path
    known: Path
    alias: str
    user: str = "root"
    pinned: bool = False

    def run(
        self, command: Sequence[str], *, stdin: bytes = b"", timeout: float = 120.0
    ) -> Completed:
        """Run a command as root and return what it said; its status may be anything.

        A connection that fails before the command was sent is made again.

        Raises:
            BackendFailure: ssh itself failed.
            TimedOut: it took longer than ``timeout`` seconds.
        """
        tries = _TRIES
        while True:
            words = (*self._words(), shlex.join(command))
            done = run(words, stdin=stdin, timeout=timeout, check=False)
            if done.returncode != _STATUS_OF_SSH:
                return done
            said = done.stderr.decode(errors="replace").lower()
            tries -= 1
            if not tries or not any(mark in said for mark in _NOT_YET):
                raise self._refusal(done) or BackendFailure(
                    "the machine does not answer any more", details=_lines(done)
                )

    def wait(self, alive: Callable[[], bool], *, timeout: float) -> None:
        """Return once root is let in.

        Raises:
            TimedOut: no answer within ``timeout`` seconds.
            BackendFailure: the key was refused, or the machine ended.
        """
        until, pause = time.monotonic() + timeout, _FIRST_PAUSE
        while True:
            said = self._try(min(_TRY, max(1.0, until - time.monotonic())))
            if said is None:
                return
            if not alive():
                raise BackendFailure("the machine ended before it answered", details=said)
            if time.monotonic() + pause > until:
                raise TimedOut(
                    f"waited {timeout:g} seconds for an SSH server at port {self.port}",
                    details=said,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def open(self, command: Sequence[str], heard: deque[str]) -> socket.socket:
        """Return a stream to the standard input and output of a command that root runs.

        What it and ssh complain of is added to ``heard``.
        """
        words = (*self._words(), shlex.join(command))
        ours, _ = begin(words, heard, name=f"ssh-{self.alias}")
        return ours

    def _try(self, seconds: float) -> tuple[str, ...] | None:
        """Try once; return what ssh said if it did not work, for want of the server alone."""
        try:
            done = run((*self._words(), "true"), timeout=seconds, check=False)
        except TimedOut as error:
            return (error.brief,)
        if done.returncode == 0:
            return None
        if (refusal := self._refusal(done)) is not None:
            raise refusal
        return _lines(done) or (f"ssh ended with status {done.returncode}",)

    def _words(self) -> tuple[str, ...]:
        return (
            str(which("ssh", package="openssh-client")),
            *_OPTIONS,
            *("-o", f"StrictHostKeyChecking={'yes' if self.pinned else 'accept-new'}"),
            *("-o", f"UserKnownHostsFile={self.known}"),
            *("-o", f"HostKeyAlias={self.alias}"),
            *("-i", str(self.key), "-p", str(self.port)),
            f"{self.user}@127.0.0.1",
        )

    def _refusal(self, done: Completed) -> BackendFailure | None:
        """Return the error if trying again is of no use."""
        text = done.stderr.decode(errors="replace").lower()
        for mark, brief in _FINAL:
            if mark in text:
                return BackendFailure(
                    brief.format(key=self.key, user=self.user),
                    details=_lines(done),
                    hint=self._hint(mark),
                )
        return None

    def _hint(self, mark: str) -> str:
        if "host" in mark:
            return f"if you changed the machine: ssh-keygen -R {self.alias} -f {self.known}"
        if "permissions" in mark:
            return f"chmod 600 {self.key}"
        if "denied" in mark:
            how = "to /root/.ssh/authorized_keys, then take the snapshot again"
            return f"in the machine, add {self.key}.pub {how}"
        return f"ssh-keygen -t ed25519 -N '' -f {self.key}, and --backend-option key=FILE"


def _lines(done: Completed) -> tuple[str, ...]:
    lines = done.stderr.decode(errors="replace").splitlines()
    return tuple(f"ssh: {line}" for line in lines if line.strip())[-8:]
