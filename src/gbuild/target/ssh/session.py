"""One command on a machine: what it writes, what it reads, how it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Self

from paramiko.channel import Channel
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_CHANNEL_WINDOW_ADJUST
from paramiko.message import Message
from paramiko.ssh_exception import SSHException

from gbuild.target.ssh.arrivals import WINDOW, ArrivalPipe, Arrivals, Piece, Stream
from gbuild.target.ssh.wire import BoundedPacketizer

_PIECE = 32 * 1024
"""Bytes of one packet; OpenSSH takes no more."""

_REOPEN = WINDOW // 4
"""Bytes taken before the server is told that it may send as many again."""

_BATCH = 256 * 1024
"""Bytes sealed before they are written: few wake-ups of the server."""

_BATCH_WAIT = 0.003
"""Seconds to wait for a whole batch when the server takes a part of one: few wake-ups of ours."""

_LARGEST_WINDOW = (1 << 32) - 1

_UNKNOWN_SIGNAL = 255


class Session:
    """A started command. One thread reads, one other may send."""

    def __init__(self, channel: Channel, packetizer: BoundedPacketizer) -> None:
        self._channel = channel
        self._transport = channel.get_transport()
        self._packetizer = packetizer
        self._arrivals = Arrivals()
        channel.in_buffer = packetizer.pipes[channel.chanid] = ArrivalPipe(self._arrivals, "stdout")
        channel.in_stderr_buffer = ArrivalPipe(self._arrivals, "stderr")
        packetizer.windows[channel.chanid] = self._grow
        self._taken = 0
        self._wanted = 1
        packetizer.exit_signals[channel.chanid] = None

    def start(self, command: bytes, *, terminal: tuple[str, int, int] | None = None) -> None:
        """Have the user's shell run ``command``; ``terminal`` is (TERM, columns, rows)."""
        if terminal is not None:
            name, columns, rows = terminal
            self._channel.get_pty(name, columns, rows)
        if command:
            self._channel.exec_command(command)
        else:
            self._channel.invoke_shell()

    def resize(self, columns: int, rows: int) -> None:
        """Tell the command's terminal its new size."""
        self._channel.resize_pty(columns, rows)

    def read(self, timeout: float) -> tuple[Stream, Piece] | None:
        """Return the next output; None at its end and after ``timeout`` seconds.

        It may be read until the next call.
        """
        piece = self._arrivals.next(timeout)
        if piece is not None:
            self._taken += len(piece[1])
            if self._taken >= _REOPEN:
                self._open_window()
        return piece

    @property
    def ended(self) -> bool:
        """Whether all output was read and no more comes."""
        return self._arrivals.ended

    @property
    def exited(self) -> bool:
        """Whether the command itself ended (a child may still hold its output)."""
        return self._channel.exit_status_ready() or self._signal is not None

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Give the command input, as it takes it; return False once it takes no more.

        Sending nothing asks whether it still would.
        """
        view = memoryview(data)
        while view:
            room = self._room(len(view))
            if not room or not self._write(view[:room]):
                return False
            view = view[room:]
        return not self._channel.closed

    def end_input(self) -> None:
        """Let the command read the end of its input."""
        try:
            self._channel.shutdown_write()
        except (OSError, EOFError, SSHException):
            return  # gone, which is an end as well

    def status(self, timeout: float) -> int | None:
        """Return the exit status; negative is a signal; None when the machine never told it."""
        self._channel.status_event.wait(timeout)
        if self._signal is not None:
            number = getattr(signal, f"SIG{self._signal}", None)
            return -int(number) if isinstance(number, signal.Signals) else _UNKNOWN_SIGNAL
        status = self._channel.exit_status
        return None if status == -1 else status & 0xFF

    def kill(self) -> None:
        """Ask the server to kill the command's process group (RFC 4254, 6.9); no answer comes."""
        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string("KILL")
        self._between_key_exchanges(lambda: self._packetizer.send_message(message))

    def close(self) -> None:
        """Give the channel back."""
        self._packetizer.pipes.pop(self._channel.chanid, None)
        self._packetizer.windows.pop(self._channel.chanid, None)
        self._packetizer.exit_signals.pop(self._channel.chanid, None)
        try:
            self._channel.close()
        except (OSError, EOFError, SSHException):
            return  # the connection went first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _signal(self) -> str | None:
        return self._packetizer.exit_signals.get(self._channel.chanid)

    def _room(self, wanted: int) -> int:
        """Wait until the server takes input, and return how many bytes; 0 when it never will."""
        channel = self._channel
        with channel.out_buffer_cv:
            wanted = self._wanted = min(wanted, _BATCH)
            if not self._takes(wanted):
                channel.out_buffer_cv.wait_for(lambda: self._takes(wanted), _BATCH_WAIT)
                self._wanted = 1
                channel.out_buffer_cv.wait_for(lambda: self._takes(1))
            if channel.closed or channel.eof_sent:
                return 0
            room = min(wanted, channel.out_window_size)
            channel.out_window_size -= room
            return room

    def _takes(self, size: int) -> bool:
        """Say whether the server takes so many bytes, or will never take any."""
        channel = self._channel
        over = channel.closed or channel.eof_sent
        return bool(over) or channel.out_window_size >= size

    def _grow(self, size: int) -> None:
        """Note that the server takes ``size`` bytes more; called by the thread that reads."""
        channel = self._channel
        with channel.out_buffer_cv:
            channel.out_window_size = min(channel.out_window_size + size, _LARGEST_WINDOW)
            if channel.out_window_size >= self._wanted:
                channel.out_buffer_cv.notify_all()

    def _write(self, data: memoryview) -> bool:
        most = min(_PIECE, self._channel.out_max_packet_size)
        return self._between_key_exchanges(
            lambda: self._packetizer.send_data(self._channel.remote_chanid, data, most)
        )

    def _open_window(self) -> None:
        message = Message()
        message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(self._channel.remote_chanid)
        message.add_int(self._taken)
        self._taken = 0
        if not self._channel.closed:
            self._between_key_exchanges(lambda: self._packetizer.send_message(message))

    def _between_key_exchanges(self, send: Callable[[], None]) -> bool:
        """Send once no keys are being agreed on, as paramiko does; False when all is over."""
        transport = self._transport
        while transport.is_active():
            transport.clear_to_send.wait(0.1)
            with transport.clear_to_send_lock:
                if not transport.clear_to_send.is_set():
                    continue
                try:
                    send()
                except (OSError, EOFError):
                    return False
                return True
        return False
