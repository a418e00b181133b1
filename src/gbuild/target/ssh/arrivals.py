"""What a command wrote and nobody has read yet: bounded, both streams in order of arrival."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Literal

from paramiko.buffered_pipe import BufferedPipe
from paramiko.ssh_exception import SSHException

if TYPE_CHECKING:
    _BytesPipe = BufferedPipe[bytes]
else:
    _BytesPipe = BufferedPipe

Stream = Literal["stdout", "stderr"]

WINDOW = 1 << 20
"""Bytes that the server may have sent on a channel and nobody has read yet (RFC 4254, 5.2)."""


class Arrivals:
    """Holds the pieces between the thread that reads the connection and the one that wants them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pieces: deque[tuple[Stream, bytes | memoryview]] = deque()
        self._sizes: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._open: set[Stream] = {"stdout", "stderr"}

    def put(self, stream: Stream, data: bytes | memoryview) -> None:
        """Add what arrived; called by the thread that reads the connection.

        Raises:
            SSHException: the server sent more than the window allows.
        """
        with self._condition:
            self._sizes[stream] += len(data)
            if self._sizes[stream] > WINDOW:
                raise SSHException("the server sent more than the window allows")
            if data:
                self._pieces.append((stream, data))
                self._condition.notify()

    def end(self, stream: Stream) -> None:
        """Note that nothing more comes on ``stream``."""
        with self._condition:
            self._open.discard(stream)
            self._condition.notify()

    def take(self, stream: Stream) -> bytes:
        """Remove and return what came on ``stream`` before the other stream's next piece."""
        with self._condition:
            pieces = []
            while self._pieces and self._pieces[0][0] == stream:
                pieces.append(self._pieces.popleft()[1])
            self._sizes[stream] -= sum(map(len, pieces))
        return b"".join(pieces)

    def wait(self, timeout: float) -> Stream | None:
        """Return the stream to take from next; None at the end and after ``timeout`` seconds."""
        with self._condition:
            if not self._pieces:
                self._condition.wait_for(lambda: self._pieces or not self._open, timeout)
            return self._pieces[0][0] if self._pieces else None

    def size(self, stream: Stream) -> int:
        """Return how many bytes of ``stream`` wait."""
        return self._sizes[stream]

    @property
    def ended(self) -> bool:
        """Whether all was taken and nothing more comes."""
        return not self._pieces and not self._open


class ArrivalPipe(_BytesPipe):
    """Puts one stream of a channel into :class:`Arrivals` instead of a buffer without limit."""

    def __init__(self, arrivals: Arrivals, stream: Stream) -> None:
        super().__init__()
        self._arrivals = arrivals
        self._stream = stream

    def feed(self, data: bytes | memoryview) -> None:
        """Receive what the server sent."""
        self._arrivals.put(self._stream, data)

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Return what waits, never blocking and never more than the window."""
        return self._arrivals.take(self._stream)

    def read_ready(self) -> bool:
        """Say whether something waits."""
        return self._arrivals.size(self._stream) > 0

    def empty(self) -> bytes:
        """Remove and return what waits."""
        return self._arrivals.take(self._stream)

    def close(self) -> None:
        """Note the end of the stream."""
        self._arrivals.end(self._stream)

    def __len__(self) -> int:
        return self._arrivals.size(self._stream)
