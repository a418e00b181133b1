"""Programs started in an instance by the daemon, with their streams as web sockets.

API: POST /1.0/instances/<name>/exec with ``wait-for-websocket``: one web socket each for standard
input, output and error, which the program waits for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Any

from gbuild.backends.lxd.daemon import Daemon, operation_of
from gbuild.backends.lxd.websocket import Refused
from gbuild.errors import BackendFailure

_PIECE = 128 << 10
_LINE_LIMIT = 64 << 10


class Program:
    """A program that runs in an instance as root, with its three streams."""

    def __init__(self, daemon: Daemon, instance: str, command: Sequence[str]) -> None:
        """Start it; returns when its streams are connected."""
        doing = f"run {command[0]} in {instance}"
        self._daemon = daemon
        self._doing = doing
        self._answer = daemon.begin(
            "post",
            ("instances", instance, "exec"),
            doing=doing,
            json={
                "command": list(command),
                "environment": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                "interactive": False,
                "wait-for-websocket": True,
                "user": 0,
                "group": 0,
                "cwd": "/",
            },
        )
        secrets: dict[str, Any] = self._answer["metadata"]["metadata"]["fds"]
        base = f"/1.0/operations/{operation_of(self._answer)}/websocket?secret="
        with contextlib.ExitStack() as undo:
            opened = []
            for number in ("0", "1", "2"):
                one = daemon.open(base + str(secrets[number]), doing=doing)
                undo.callback(one.close)
                opened.append(one)
            undo.pop_all()
        self.stdin, self.stdout, self.stderr = opened

    def wait_for(self, mark: bytes) -> bytes:
        """Return what it writes before the line ``mark``.

        Raises:
            BackendFailure: it ended before, or wrote too much.
        """
        said = bytearray()
        while not said.endswith(mark + b"\n"):
            if len(said) > _LINE_LIMIT:
                raise BackendFailure(f"too much was written by: {self._doing}")
            try:
                piece = self.stdout.receive()
            except (OSError, Refused) as error:
                raise self._daemon.unreachable(error) from error
            if piece is None:
                raise self._failed(bytes(said))
            said += piece
        return bytes(said[: -len(mark) - 1])

    def shut(self) -> None:
        """Break all streams: the program sees the end of its input."""
        for one in (self.stdin, self.stdout, self.stderr):
            one.shut()

    def close(self) -> None:
        """Give the streams back, when nobody uses them any more."""
        for one in (self.stdin, self.stdout, self.stderr):
            one.close()

    def _failed(self, said: bytes) -> BackendFailure:
        complaint = bytearray()
        with contextlib.suppress(OSError, Refused):
            while len(complaint) < _LINE_LIMIT and (piece := self.stderr.receive()) is not None:
                complaint += piece
        lines = (said + b"\n" + complaint).decode(errors="replace").strip().splitlines()
        return BackendFailure(f"it failed to {self._doing}", details=tuple(lines[-20:]))


def stream(daemon: Daemon, instance: str, command: Sequence[str]) -> socket.socket:
    """Start a program and return a socket on whose other end its input and output are."""
    program = Program(daemon, instance, command)
    ours, theirs = socket.socketpair()
    threading.Thread(target=_carry, args=(theirs, program), daemon=True).start()
    return ours


def _carry(pair: socket.socket, program: Program) -> None:
    """Carry bytes both ways until one side ends, then let go of everything."""
    inwards = threading.Thread(target=_inwards, args=(pair, program), daemon=True)
    inwards.start()
    with contextlib.suppress(OSError, Refused):
        while (piece := program.stdout.receive()) is not None:
            pair.sendall(piece)
    with contextlib.suppress(OSError):
        pair.shutdown(socket.SHUT_RDWR)  # wakes the other thread
    inwards.join()
    pair.close()
    program.close()


def _inwards(pair: socket.socket, program: Program) -> None:
    """Carry what is written to the socket into the program; its end is the program's."""
    buffer = memoryview(bytearray(_PIECE))
    with contextlib.suppress(OSError):
        while count := pair.recv_into(buffer):
            program.stdin.send(buffer[:count])
        program.stdin.finish()
    program.shut()
