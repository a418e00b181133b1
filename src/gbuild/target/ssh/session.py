"""One command on a machine: what it writes, what it reads, how it ends."""

from __future__ import annotations

import signal
from typing import Self

from paramiko.channel import Channel
from paramiko.common import cMSG_CHANNEL_REQUEST
from paramiko.message import Message
from paramiko.ssh_exception import SSHException

from gbuild.target.ssh.wire import WINDOW, ArrivalPipe, Arrivals, BoundedPacketizer, Stream

_PIECE = 32 * 1024 - 64
"""What fits one packet of OpenSSH (32 KiB) as paramiko counts it."""

_UNKNOWN_SIGNAL = 255


class Session:
    """A started command. One thread reads, one other may send."""

    def __init__(self, channel: Channel, packetizer: BoundedPacketizer) -> None:
        self._channel = channel
        self._packetizer = packetizer
        self._arrivals = Arrivals()
        channel.in_buffer = ArrivalPipe(self._arrivals, "stdout")
        channel.in_stderr_buffer = ArrivalPipe(self._arrivals, "stderr")
        channel.in_window_threshold = WINDOW // 2
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

    def read(self, timeout: float) -> tuple[Stream, bytes] | None:
        """Return the next output, or None: at the end, after ``timeout`` seconds, or once woken."""
        stream = self._arrivals.wait(timeout)
        if stream is None:
            return None
        # Taking it through the channel opens the window again for as many bytes.
        take = self._channel.recv if stream == "stdout" else self._channel.recv_stderr
        return stream, take(WINDOW)

    @property
    def ended(self) -> bool:
        """Whether all output was read and no more comes."""
        return self._arrivals.ended

    @property
    def exited(self) -> bool:
        """Whether the command itself ended (a child may still hold its output)."""
        return self._channel.exit_status_ready() or self._signal is not None

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Give the command input, as it takes it; return False once it takes no more."""
        view = memoryview(data)
        at = 0
        while at < len(view):
            try:
                sent = self._channel.send(bytes(view[at : at + _PIECE]))
            except (OSError, EOFError, SSHException):
                return False
            if sent == 0:
                return False
            at += sent
        return True

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

    @property
    def _signal(self) -> str | None:
        return self._packetizer.exit_signals.get(self._channel.chanid)

    def kill(self) -> None:
        """Ask the server to kill the command's process group (RFC 4254, 6.9); no answer comes."""
        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string("KILL")
        try:
            self._packetizer.send_message(message)
        except (OSError, EOFError, SSHException):
            return  # nobody is there any more

    def close(self) -> None:
        """Give the channel back."""
        self._packetizer.exit_signals.pop(self._channel.chanid, None)
        try:
            self._channel.close()
        except (OSError, EOFError, SSHException):
            return  # the connection went first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
