"""The receiving half of an SSH connection, hardened against the server at its other end.

paramiko takes what it is sent: packets of up to 2 GiB before any key is agreed, a banner line
without end, more data than the window allows. A target is hostile by assumption, so everything
that arrives passes one of the two classes here, and each has a limit.

Formats: RFC 4253 (packets, identification string), RFC 4254 (channels, windows, signals).
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal

from paramiko.buffered_pipe import BufferedPipe
from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer
from paramiko.ssh_exception import SSHException

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    _BytesPipe = BufferedPipe[bytes]
else:
    _BytesPipe = BufferedPipe

Stream = Literal["stdout", "stderr"]

WINDOW = 1048576
"""Bytes a channel may have sent and nobody has read yet; small is faster (caches) and safer."""

MAX_PACKET = 131072
"""Payload bytes of one channel packet that we announce (RFC 4254, 5.1)."""

_PACKET_LIMIT = 300000
_WRITE_STALL = 120.0
_RECEIVE = 128 * 1024
_PREAMBLE_LIMIT = 8 * 1024
_MESSAGE_IGNORE = 2
_MESSAGE_EXT_INFO = 7
_MESSAGE_CHANNEL_REQUEST = 98


class BoundedPacketizer(Packetizer):
    """Reads packets through a buffer and refuses any longer than 64 KiB.

    ``REKEY_*`` are raised: a key of AES-GCM is good for far more than one connection carries
    (the server may still ask for a new one).
    """

    REKEY_BYTES = 1 << 36
    REKEY_PACKETS = 1 << 31

    def __init__(self, socket: socket.socket) -> None:
        super().__init__(socket)
        self._link = socket
        self._held = b""
        self._at = 0
        self._preamble = 0
        self._banner_until: float | None = None
        self._handshake_until: float | None = None
        self.exit_signals: dict[int, str | None] = {}
        """Channel number -> name of the signal its command died of; only keys set before."""

    def start_handshake(self, timeout: float) -> None:
        """Give the first key exchange ``timeout`` seconds (without a thread for the clock)."""
        self._handshake_until = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        """Say whether the first key exchange took too long."""
        return self._handshake_until is not None and time.monotonic() >= self._handshake_until

    def complete_handshake(self) -> None:
        """Note that the first key exchange is over; called again at every message."""
        self._handshake_until = None

    def read_all(
        self,
        n: int,
        check_rekey: bool = False,  # noqa: FBT001, FBT002 - the signature is paramiko's
    ) -> bytes:
        """Return exactly ``n`` bytes of the stream."""
        if not 0 <= n <= _PACKET_LIMIT:
            raise SSHException(f"the server announced a packet of {n} bytes")
        at, held = self._at, self._held
        if len(held) - at >= n:
            self._at = at + n
            return held[at : at + n]
        parts = [held[at:]]
        missing = n - len(parts[0])
        self._held, self._at = b"", 0
        while missing > 0:
            piece = self._receive(may_rekey=check_rekey and missing == n)
            if len(piece) > missing:
                self._held, self._at = piece, missing
                piece = piece[:missing]
            missing -= len(piece)
            parts.append(piece)
        return b"".join(parts)

    def write_all(self, out: ReadableBuffer) -> None:
        """Write all of ``out``; a server that reads nothing for two minutes is given up."""
        view = memoryview(out)
        until: float | None = None
        while view:
            try:
                sent = self._link.send(view)
            except TimeoutError:
                until = until or time.monotonic() + _WRITE_STALL
                if self.closed or time.monotonic() > until:
                    raise EOFError from None
            except OSError:
                raise EOFError from None
            else:
                view, until = view[sent:], None

    def readline(self, timeout: float) -> str:
        """Return one line that precedes the first packet; all of them fit 8 KiB and one timeout."""
        if self._banner_until is None:
            self._banner_until = time.monotonic() + timeout
        while b"\n" not in self._held:
            self._preamble_fits(len(self._held))
            self._held += self._receive(until=self._banner_until)
        line, _, self._held = self._held.partition(b"\n")
        self._preamble += len(line) + 1
        self._preamble_fits(0)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def read_message(self) -> tuple[int, Message]:
        """Return the next message: its number and body."""
        number, message = super().read_message()
        if number == _MESSAGE_EXT_INFO:
            # Its count field would be looped over, however large; nothing in it is needed.
            return _MESSAGE_IGNORE, message
        if number == _MESSAGE_CHANNEL_REQUEST and self.exit_signals:
            self._note_exit_signal(message)
        return number, message

    def _preamble_fits(self, more: int) -> None:
        if self._preamble + more > _PREAMBLE_LIMIT:
            raise SSHException(f"more than {_PREAMBLE_LIMIT} bytes before the first packet")

    def _receive(self, *, may_rekey: bool = False, until: float | None = None) -> bytes:
        while True:
            if self.handshake_timed_out():
                raise EOFError
            try:
                piece = self._link.recv(_RECEIVE)
            except TimeoutError:
                self._idle(may_rekey=may_rekey)
            except OSError:
                if self.closed:
                    raise EOFError from None
                raise
            else:
                if not piece:
                    raise EOFError
                return piece
            if until is not None and time.monotonic() >= until:
                raise TimeoutError

    def _idle(self, *, may_rekey: bool) -> None:
        if self.closed:
            raise EOFError
        if may_rekey and self.need_rekey():
            raise NeedRekeyException

    def _note_exit_signal(self, message: Message) -> None:
        channel = message.get_int()
        if message.get_string() == b"exit-signal" and channel in self.exit_signals:
            message.get_boolean()
            self.exit_signals[channel] = message.get_string()[:16].decode("ascii", "replace")
        message.rewind()


class Arrivals:
    """What one command wrote and nobody has taken yet, both streams in the order of arrival."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pieces: deque[tuple[Stream, bytes]] = deque()
        self._sizes: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._open: set[Stream] = {"stdout", "stderr"}

    def put(self, stream: Stream, data: bytes) -> None:
        """Add what arrived; called by the thread that reads the connection."""
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
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._sizes[stream] -= len(data)
            return data

    def wait(self, timeout: float) -> Stream | None:
        """Return the stream to take from next; None at the end and after ``timeout`` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._pieces or not self._open, timeout)
            return self._pieces[0][0] if self._pieces else None

    def size(self, stream: Stream) -> int:
        """Return how many bytes of ``stream`` wait."""
        return self._sizes[stream]

    @property
    def ended(self) -> bool:
        """Whether all was taken and nothing more comes."""
        with self._condition:
            return not self._pieces and not self._open


class ArrivalPipe(_BytesPipe):
    """Puts one stream of a channel into :class:`Arrivals` instead of a buffer without limit."""

    def __init__(self, arrivals: Arrivals, stream: Stream) -> None:
        super().__init__()
        self._arrivals = arrivals
        self._stream = stream

    def feed(self, data: bytes) -> None:
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
