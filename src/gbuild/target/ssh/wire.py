"""The packets of an SSH connection, read within limits and written without waiting for ever.

paramiko takes what it is sent: packets of up to 2 GiB before any key is agreed, a banner line
without end, counts that it loops over. A target is hostile by assumption, so every packet
passes here first.

Formats: RFC 4253 (packets, identification string), RFC 4254 (channels, signals), RFC 8308.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer
from paramiko.ssh_exception import SSHException

from gbuild.target.ssh.arrivals import ArrivalPipe
from gbuild.target.ssh.sealed import AROUND, BLOCK, TAG, Seal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_PACKET = 128 * 1024
"""Payload bytes of one channel packet that we announce (RFC 4254, 5.1)."""

_PACKET_LIMIT = MAX_PACKET + 1024
_BUFFER = 4 * _PACKET_LIMIT
_PREAMBLE_LIMIT = 8 * 1024
_WRITE_STALL = 120.0
_IGNORE, _EXT_INFO, _WINDOW_ADJUST, _CHANNEL_DATA, _CHANNEL_REQUEST = 2, 7, 93, 94, 98


class BoundedPacketizer(Packetizer):
    """Packets of at most 129 KiB; a whole connection under one key unless the server wants more.

    Attributes:
        pipes: channel number -> where its standard output goes without passing paramiko.
        windows: channel number -> is told, without passing paramiko, how many bytes more the
            server takes; OpenSSH says it eleven times for each megabyte that it is sent.
        exit_signals: channel number -> the signal its command died of; only for numbers that
            are there already.
    """

    REKEY_BYTES = 1 << 36
    REKEY_PACKETS = 1 << 31

    def __init__(self, socket: socket.socket) -> None:
        super().__init__(socket)
        self.pipes: dict[int, ArrivalPipe] = {}
        self.windows: dict[int, Callable[[int], None]] = {}
        self.exit_signals: dict[int, str | None] = {}
        self._link = socket
        self._buffer = memoryview(bytearray(_BUFFER))
        self._start = self._end = 0
        self._preamble_until: float | None = None
        self._handshake_until: float | None = None
        self._inbound: Seal | None = None
        self._outbound: Seal | None = None
        self._writing = threading.Lock()
        self._out = memoryview(bytearray(_PACKET_LIMIT))
        self._spare: list[memoryview] = []

    def set_inbound_cipher(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Read with new keys from the next packet on."""
        super().set_inbound_cipher(*args, **kwargs)
        sealed = kwargs.get("aead", False)
        self._inbound = Seal(kwargs["block_engine"], kwargs["iv_in"]) if sealed else None

    def set_outbound_cipher(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Write with new keys from the next packet on."""
        super().set_outbound_cipher(*args, **kwargs)
        sealed = kwargs.get("aead", False)
        self._outbound = Seal(kwargs["block_engine"], kwargs["iv_out"]) if sealed else None

    def start_handshake(self, timeout: float) -> None:
        """Give the first key exchange ``timeout`` seconds (without a thread for the clock)."""
        self._handshake_until = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        """Say whether the first key exchange took too long."""
        return self._handshake_until is not None and time.monotonic() >= self._handshake_until

    def complete_handshake(self) -> None:
        """Note that the first key exchange is over; called again at every message."""
        self._handshake_until = None

    def readline(self, timeout: float) -> str:
        """Return one line that precedes the first packet; all of them fit 8 KiB and one timeout."""
        if self._preamble_until is None:
            self._preamble_until = time.monotonic() + timeout
        while True:
            line, end, _ = bytes(self._buffer[self._start : self._end]).partition(b"\n")
            if end:
                self._start += len(line) + 1
                return line.rstrip(b"\r").decode("utf-8", "replace")
            if self._end > _PREAMBLE_LIMIT:
                raise SSHException(f"more than {_PREAMBLE_LIMIT} bytes before the first packet")
            self._receive(until=self._preamble_until)

    def read_all(
        self,
        n: int,
        check_rekey: bool = False,  # noqa: FBT001, FBT002 - the signature is paramiko's
    ) -> bytes:
        """Return exactly ``n`` bytes of the stream."""
        return bytes(self._span(n, may_rekey=check_rekey))

    def read_message(self) -> tuple[int, Message]:
        """Return the next message that paramiko must know of: its number and body."""
        while True:
            if self._inbound is None:
                number, message = super().read_message()
            elif (opened := self._open(self._inbound)) is not None:
                number, message = opened
            else:
                continue
            if number == _EXT_INFO:
                # Its count field would be looped over, however large; nothing in it is needed.
                return _IGNORE, message
            if number == _CHANNEL_REQUEST and self.exit_signals:
                self._note_exit_signal(message)
            return number, message

    def send_message(self, data: Message) -> None:
        """Write one message."""
        with self._writing:
            if self._outbound is None:
                super().send_message(data)
                return
            payload = data.asbytes()
            out = memoryview(bytearray(len(payload) + AROUND))
            self.write_all(out[: self._outbound.close(out, b"", payload)])

    def send_data(self, channel: int, data: memoryview, most: int) -> None:
        """Write ``data`` of a channel in packets of at most ``most`` bytes, all at once."""
        start = bytes((_CHANNEL_DATA,)) + channel.to_bytes(4, "big")
        pieces = [data[at : at + most] for at in range(0, len(data), most)]
        if self._outbound is None:
            for piece in pieces:
                self.send_message(Message(start + len(piece).to_bytes(4, "big") + piece))
            return
        with self._writing:
            room = len(data) + len(pieces) * AROUND
            if room > len(self._out):
                self._out = memoryview(bytearray(room))
            at = 0
            for piece in pieces:
                before = start + len(piece).to_bytes(4, "big")
                at += self._outbound.close(self._out[at:], before, piece)
            self.write_all(self._out[:at])

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

    def _open(self, seal: Seal) -> tuple[int, Message] | None:
        """Read a sealed packet; None when it was for a command, and delivered."""
        length = bytes(self._span(4, may_rekey=True))
        size = int.from_bytes(length, "big")
        if size % BLOCK or not size:
            raise SSHException(f"the server announced a packet of {size} bytes")
        sealed = self._span(size + TAG)
        buffer = self._spare.pop() if self._spare else memoryview(bytearray(_PACKET_LIMIT))
        payload = seal.open(length, sealed, buffer)
        if not payload:
            raise SSHException("the server sent an empty packet")
        if payload[0] == _CHANNEL_DATA:
            pipe = self.pipes.get(int.from_bytes(payload[1:5], "big"))
            if pipe is not None and len(payload) == 9 + int.from_bytes(payload[5:9], "big"):
                if not pipe.feed_view(payload[9:], lambda: self._spare.append(buffer)):
                    self._spare.append(buffer)
                return None
        number, body = payload[0], bytes(payload[1:])
        self._spare.append(buffer)
        if number == _WINDOW_ADJUST and len(body) == 8:
            grow = self.windows.get(int.from_bytes(body[:4], "big"))
            if grow is not None:
                grow(int.from_bytes(body[4:], "big"))
                return None
        message = Message(body)
        message.seqno = 0
        return number, message

    def _span(self, n: int, *, may_rekey: bool = False) -> memoryview:
        """Return the next ``n`` bytes where they lie: valid until the next call."""
        if not 0 <= n <= _PACKET_LIMIT:
            raise SSHException(f"the server announced a packet of {n} bytes")
        while self._end - self._start < n:
            self._receive(may_rekey=may_rekey and self._end == self._start)
        start = self._start
        self._start = start + n
        return self._buffer[start : start + n]

    def _receive(self, *, may_rekey: bool = False, until: float | None = None) -> None:
        """Add what the socket has to the buffer, at least one byte."""
        if self._start and _BUFFER - self._end < _PACKET_LIMIT:
            held = self._end - self._start
            self._buffer[:held] = self._buffer[self._start : self._end]
            self._start, self._end = 0, held
        while True:
            if self.handshake_timed_out() or (until is not None and time.monotonic() >= until):
                raise EOFError
            try:
                count = self._link.recv_into(self._buffer[self._end :])
            except TimeoutError:
                self._idle(may_rekey=may_rekey)
            except OSError:
                if self.closed:
                    raise EOFError from None
                raise
            else:
                if not count:
                    raise EOFError
                self._end += count
                return

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
