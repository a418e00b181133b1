"""What a command wrote and nobody has read yet: bounded, both streams in order of arrival."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from paramiko.buffered_pipe import BufferedPipe
from paramiko.ssh_exception import SSHException

if TYPE_CHECKING:
    _BytesPipe = BufferedPipe[bytes]
else:
    _BytesPipe = BufferedPipe

Stream = Literal["stdout", "stderr"]
Piece = bytes | bytearray | memoryview

WINDOW = 1 << 20
"""Bytes that the server may have sent on a channel and nobody has read yet (RFC 4254, 5.2)."""

SMALL = 16 * 1024
"""Pieces below this are gathered: a million single bytes must not be a million objects."""

_MOST_PIECES = 4096

_BULK = 256 * 1024
_BULK_WAIT = 0.003
"""After large pieces the reader sleeps until there are several: waking it costs more than they."""


class Arrivals:
    """Holds the pieces between the thread that reads the connection and the one that wants them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pieces: deque[tuple[Stream, Piece, Callable[[], None] | None]] = deque()
        self._gathering: dict[Stream, bytearray] = {}
        self._waiting: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._open: set[Stream] = {"stdout", "stderr"}
        self._done: Callable[[], None] | None = None
        self._wanted = 1

    def put(
        self, stream: Stream, data: bytes | memoryview, done: Callable[[], None] | None = None
    ) -> bool:
        """Add what arrived; called by the thread that reads the connection.

        Args:
            stream: where it came.
            data: small data is copied; the memory of larger data stays in use until ``done``.
            done: called once nobody reads ``data`` any more.

        Returns:
            Whether ``data`` is kept (False: it was copied, and ``done`` is not called).

        Raises:
            SSHException: the server sent more than the window allows.
        """
        with self._condition:
            self._waiting[stream] += len(data)
            if self._waiting[stream] > WINDOW:
                raise SSHException("the server sent more than the window allows")
            kept = done is not None and len(data) >= SMALL
            if kept:
                self._pieces.append((stream, memoryview(data), done))
            elif data:
                self._gather(stream, data)
            if self._total() >= self._wanted:
                self._condition.notify()
            return kept

    def end(self, stream: Stream) -> None:
        """Note that nothing more comes on ``stream``."""
        with self._condition:
            self._open.discard(stream)
            self._condition.notify()

    def next(self, timeout: float) -> tuple[Stream, Piece] | None:
        """Remove and return the next piece; None at the end and after ``timeout`` seconds.

        It may be read until the next call.
        """
        with self._condition:
            if self._done is not None:
                self._done()
                self._done = None
                if not self._pieces:
                    self._wait(_BULK, min(timeout, _BULK_WAIT))
            if not self._pieces:
                self._wait(1, timeout)
            if not self._pieces:
                return None
            stream, data, self._done = self._pieces.popleft()
            self._waiting[stream] -= len(data)
            if data is self._gathering.get(stream):
                del self._gathering[stream]
            return stream, data

    def waiting(self, stream: Stream) -> int:
        """Return how many bytes of ``stream`` wait."""
        return self._waiting[stream]

    @property
    def ended(self) -> bool:
        """Whether all was taken and nothing more comes."""
        return not self._pieces and not self._open

    def _wait(self, wanted: int, timeout: float) -> None:
        """Wait for so many bytes, or the end, or ``timeout`` seconds."""
        self._wanted = wanted
        self._condition.wait_for(lambda: self._total() >= wanted or not self._open, timeout)

    def _total(self) -> int:
        return self._waiting["stdout"] + self._waiting["stderr"]

    def _gather(self, stream: Stream, data: bytes | memoryview) -> None:
        last = self._pieces[-1] if self._pieces else None
        open_piece = self._gathering.get(stream)
        # Beyond thousands of pieces the order between the streams is given up, not the limit.
        crowded = len(self._pieces) >= _MOST_PIECES
        if open_piece is not None and (crowded or (last is not None and last[1] is open_piece)):
            open_piece += data
            return
        self._gathering[stream] = bytearray(data)
        self._pieces.append((stream, self._gathering[stream], None))


class ArrivalPipe(_BytesPipe):
    """Puts one stream of a channel into :class:`Arrivals` instead of a buffer without limit."""

    def __init__(self, arrivals: Arrivals, stream: Stream) -> None:
        super().__init__()
        self._arrivals = arrivals
        self._stream = stream

    def feed(self, data: bytes) -> None:
        """Receive what the server sent."""
        self._arrivals.put(self._stream, data)

    def feed_view(self, data: memoryview, done: Callable[[], None]) -> bool:
        """Receive what the server sent without a copy; see :meth:`Arrivals.put`."""
        return self._arrivals.put(self._stream, data, done)

    def close(self) -> None:
        """Note the end of the stream."""
        self._arrivals.end(self._stream)

    def read_ready(self) -> bool:
        """Say whether something waits."""
        return self._arrivals.waiting(self._stream) > 0

    def __len__(self) -> int:
        return self._arrivals.waiting(self._stream)
