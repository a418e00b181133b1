"""One command in a target: its input, both outputs, its deadline and its end."""

from __future__ import annotations

import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from gbuild.errors import BackendFailure, Bug, TimedOut
from gbuild.host.process import Completed
from gbuild.target.ssh import Connection, Piece, Stream

Output = Callable[[Stream, bytes], None]
"""Is given the stream's name and what came on it, in the order of arrival."""

Write = Callable[[bytes | memoryview], bool]
"""Takes the next bytes of an input; False: nobody reads on."""

Input = bytes | Callable[[Write], None]
"""Bytes, or a producer that is called in a thread of its own."""

START = 60.0
"""Seconds that a machine has to start a command."""

_TICK = 1.0
_QUIET_AFTER_EXIT = 1.0
_MOST_AFTER_EXIT = 10.0
_LAST_WORDS = 5.0
_LONGEST = 120_000
_SHOWN = 80
_LINES = 20
_SAYS_NOTHING = (
    "tar: Exiting with failure status due to previous errors",
    "tar: Error is not recoverable: exiting now",
)


class CommandFailed(BackendFailure):
    """A command that gbuild needs in the target ended with another status than 0."""

    def __init__(self, completed: Completed, machine: str) -> None:
        super().__init__(
            f"{completed.argv[0]} in target {machine} ended with status {completed.returncode}",
            details=(f"command: {shlex.join(completed.argv)}", *_said(completed)),
        )


class PathRefused(BackendFailure):
    """A user of the target cannot write, or cannot read, a path there; the details say why."""

    def __init__(self, completed: Completed, brief: str) -> None:
        said = tuple(line for line in _said(completed) if line not in _SAYS_NOTHING)
        super().__init__(brief, details=said)


def _said(completed: Completed) -> list[str]:
    return completed.stderr.decode(errors="replace").splitlines()[-_LINES:]


def command_line(argv: Sequence[str], env: Mapping[str, str] | None) -> bytes:
    """Return what the server's shell must be given so that ``argv`` arrives as it is.

    ``env``, when given, becomes the whole environment of the command (through ``env -i``).
    """
    if env is not None:
        argv = ("env", "-i", *(f"{name}={value}" for name, value in env.items()), *argv)
    line = shlex.join(argv).encode("utf-8", "surrogateescape")
    if b"\0" in line or not 0 < len(line) <= _LONGEST:
        raise Bug(f"a command of {len(line)} bytes cannot be sent to a target")
    return line


class Outputs:
    """Passes output on and keeps the end of each stream, at most ``capture`` bytes."""

    def __init__(self, capture: int, on_output: Output | None) -> None:
        self._capture = capture
        self._on_output = on_output
        self._kept: dict[Stream, deque[bytes]] = {"stdout": deque(), "stderr": deque()}
        self._sizes: dict[Stream, int] = {"stdout": 0, "stderr": 0}

    def add(self, stream: Stream, piece: Piece) -> None:
        """Take one piece of output."""
        data = bytes(piece)
        if self._on_output is not None:
            self._on_output(stream, data)
        kept = self._kept[stream]
        kept.append(data)
        self._sizes[stream] += len(data)
        while kept and self._sizes[stream] - len(kept[0]) >= self._capture:
            self._sizes[stream] -= len(kept.popleft())

    def tail(self, stream: Stream) -> bytes:
        """Return the end of what came on ``stream``."""
        whole = b"".join(self._kept[stream])
        return whole[max(0, len(whole) - self._capture) :]


class Command:
    """A command that runs; leaving the context ends our part in it, never blocking for long."""

    def __init__(
        self,
        connection: Connection,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._connection = connection
        self._argv = tuple(argv)
        self._timeout = timeout
        self._until = None if timeout is None else time.monotonic() + timeout
        wait = START if timeout is None else min(START, timeout)
        self.session = connection.session(command_line(argv, env), timeout=wait)
        # A server that no longer reads would stop us in the middle of a write.
        self._guard = None if timeout is None else connection.closing_in(timeout + _LAST_WORDS)

    def drain(self, outputs: Outputs) -> None:
        """Take output until both streams ended, or the command did and its children are quiet."""
        exited: float | None = None
        while not self.session.ended:
            piece = self._next(_TICK if exited is None else _QUIET_AFTER_EXIT)
            now = time.monotonic()
            if piece is not None:
                outputs.add(*piece)
            elif exited is not None:
                return
            if exited is None and self.session.exited:
                exited = now
            if exited is not None and now - exited > _MOST_AFTER_EXIT:
                return

    def pull(self, errors: Outputs) -> Piece:
        """Return the next bytes of standard output, none at its end; valid until the next call."""
        while not self.session.ended:
            piece = self._next(_TICK)
            if piece is not None and piece[0] == "stdout":
                return piece[1]
            if piece is not None:
                errors.add(*piece)
        return bytearray()

    def completed(self, outputs: Outputs) -> Completed:
        """Return how it ended.

        Raises:
            BackendFailure: the machine never told.
        """
        status = self.session.status(_QUIET_AFTER_EXIT)
        if status is None:
            raise self._connection.lost(f"running {self._brief}")
        return Completed(self._argv, status, outputs.tail("stdout"), outputs.tail("stderr"))

    def close(self) -> None:
        """Give the session back; a connection that does not let us is closed."""
        with self._connection.closing_in(_LAST_WORDS):
            self.session.close()
        if self._guard is not None:
            self._guard.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _brief(self) -> str:
        line = shlex.join(self._argv)
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."

    def _next(self, patience: float) -> tuple[Stream, Piece] | None:
        if self._until is not None:
            patience = min(patience, max(0.0, self._until - time.monotonic()))
        piece = self.session.read(patience)
        if self._until is not None and time.monotonic() >= self._until:
            with self._connection.closing_in(_LAST_WORDS):
                self.session.kill()
            raise TimedOut(f"{self._brief} took longer than {self._timeout:g} seconds")
        if piece is None and not self.session.ended and not self._connection.usable:
            raise self._connection.lost(f"running {self._brief}")
        return piece


class Feeder:
    """Gives a command its input from a thread of its own, so that its output never waits."""

    def __init__(self, command: Command, source: Input | None) -> None:
        self._command = command
        self._source = source
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        if source is None:
            command.session.end_input()
        else:
            self._thread = threading.Thread(target=self._feed, name="gbuild-input", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Raise what the producer raised, if it has."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the command's session, which ends the input too."""
        self._command.close()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _feed(self) -> None:
        session, source = self._command.session, self._source
        try:
            if isinstance(source, bytes):
                session.send(source)
            elif source is not None:
                source(session.send)
        except BaseException as failure:  # noqa: BLE001 - raised again by check()
            self._failure = failure
            session.kill()
            session.close()
        else:
            session.end_input()
