"""A hostile SSH server neither grows our memory nor holds us up, and nothing is sent to it."""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from gbuild.errors import BackendFailure, GbuildError, TimedOut
from gbuild.target.backend import Machine
from gbuild.target.shell import Target
from gbuild.target.ssh import connect

Make = Callable[..., Any]


@contextmanager
def bounded(seconds: float, mebibytes: int) -> Iterator[None]:
    """The block takes less time and grows this process by less memory than that."""
    before, started = _resident(), time.monotonic()
    yield
    assert time.monotonic() - started < seconds + 30  # a busy machine: what hangs, hangs longer
    assert _resident() - before < mebibytes << 20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def refused(machine: Machine, *, timeout: float = 60) -> GbuildError:
    with pytest.raises((BackendFailure, TimedOut)) as caught:
        connect(machine, "root", timeout=timeout)
    assert machine.name in caught.value.brief
    return caught.value


def silent(theirs: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def hold(channel: paramiko.Channel, over: threading.Event) -> None:
    over.wait(60)


def flood(data: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def serve(theirs: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            theirs.sendall(data)

    return serve


def test_a_banner_without_end_is_cut_off(machine: Make) -> None:
    with bounded(5, 20):
        error = refused(machine(flood(b"x" * 65536)))
    assert "bytes before the first packet" in " ".join(error.details)


def test_banner_lines_without_end_are_cut_off(machine: Make) -> None:
    with bounded(5, 20):
        refused(machine(flood(b"hello\r\n" * 4096)))


def test_a_banner_that_drips_is_given_up(machine: Make) -> None:
    def drip(theirs: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            theirs.sendall(b"x")
            time.sleep(0.02)

    with bounded(3, 20):
        error = refused(machine(drip), timeout=0.5)
    assert isinstance(error, TimedOut)


def test_silence_is_given_up_and_says_what_was_waited_for(machine: Make) -> None:
    with bounded(3, 20):
        error = refused(machine(silent), timeout=0.3)
    assert isinstance(error, TimedOut)
    assert "the SSH server of fake to agree on keys" in error.brief


def test_an_immediate_end_is_a_lost_connection(machine: Make) -> None:
    error = refused(machine(lambda theirs, over: theirs.shutdown(socket.SHUT_RDWR)))
    assert isinstance(error, BackendFailure)


@pytest.mark.parametrize("length", [1 << 31, (1 << 32) - 1, 1 << 20, 3, 0])
def test_a_packet_of_silly_length_is_refused_before_any_key(machine: Make, length: int) -> None:
    def serve(theirs: socket.socket, over: threading.Event) -> None:
        theirs.sendall(b"SSH-2.0-evil\r\n" + struct.pack(">IB", length, 4))
        flood(b"\0" * 65536)(theirs, over)

    with bounded(5, 20):
        refused(machine(serve))


def test_ignored_messages_without_end_are_given_up(machine: Make) -> None:
    ignored = struct.pack(">IBB", 12, 10, 2) + b"\0" * 10

    def serve(theirs: socket.socket, over: threading.Event) -> None:
        theirs.sendall(b"SSH-2.0-evil\r\n")
        flood(ignored * 1000)(theirs, over)

    with bounded(5, 20):
        refused(machine(serve), timeout=1)


def test_another_host_key_is_refused_before_anything_is_sent(
    scripted: Make, other_key: paramiko.PKey
) -> None:
    asked: list[int] = []
    machine = scripted(lambda channel, over: asked.append(channel.chanid), key=other_key)
    with Target(machine) as target, pytest.raises(BackendFailure, match="another SSH host key"):
        target.run(["true"])
    assert not asked


def test_a_refused_user_is_named(scripted: Make) -> None:
    machine = scripted(hold)
    with pytest.raises(BackendFailure, match="refused user nobody"):
        connect(machine, "nobody", timeout=60)


def test_a_command_that_is_never_answered_is_given_up(scripted: Make) -> None:
    machine = scripted(hold, answers=False)
    with bounded(5, 20), Target(machine) as target:
        target._connection("root")
        with pytest.raises(TimedOut, match="to start a command"):
            target.run(["true"], timeout=2)


def test_a_command_that_never_ends_is_given_up(scripted: Make) -> None:
    machine = scripted(hold)
    late = pytest.raises(TimedOut, match="sleep 9 took longer than 5 seconds")
    with bounded(7, 20), Target(machine) as target, late:
        target.run(["sleep", "9"], timeout=5)


def test_output_without_end_is_not_kept(scripted: Make) -> None:
    def act(channel: paramiko.Channel, over: threading.Event) -> None:
        while not over.is_set():
            channel.sendall_stderr(b"e" * 30000)

    with bounded(6, 40), Target(scripted(act)) as target, pytest.raises(TimedOut):
        target.run(["x"], timeout=1.5)


def test_output_beyond_the_window_ends_the_connection(scripted: Make) -> None:
    def act(channel: paramiko.Channel, over: threading.Event) -> None:
        while not over.is_set():
            channel.out_window_size = 1 << 30
            channel.sendall(b"x" * 30000)

    def slow(stream: str, data: bytes) -> None:
        time.sleep(0.02)

    lost = pytest.raises(BackendFailure)
    with bounded(8, 40), Target(scripted(act)) as target, lost as caught:
        target.run(["x"], timeout=60, on_output=slow, capture=0)
    assert "more than the window allows" in " ".join(caught.value.details)


def test_a_server_that_reads_nothing_does_not_hold_us(machine: Make, host_key: Any) -> None:
    """The input fills the socket; the deadline ends it although a write is under way."""

    def serve(theirs: socket.socket, over: threading.Event) -> None:
        transport = paramiko.Transport(theirs)
        transport.add_server_key(host_key)
        frozen = threading.Event()

        class Deaf(paramiko.ServerInterface):
            def check_channel_request(self, kind: str, chanid: int) -> int:
                return OPEN_SUCCEEDED

            def get_allowed_auths(self, username: str) -> str:
                return "publickey"

            def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
                return AUTH_SUCCESSFUL

            def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
                threading.Timer(0.2, frozen.set).start()
                return True

        original = transport.packetizer.read_message

        def read_message() -> Any:
            if frozen.is_set():
                over.wait(20)
            return original()

        transport.packetizer.read_message = read_message  # type: ignore[method-assign] # the hook
        transport.default_window_size = 1 << 30
        transport.start_server(server=Deaf())
        over.wait(30)
        transport.close()

    with bounded(12, 60), Target(machine(serve)) as target, pytest.raises(TimedOut):
        target.run(["cat"], stdin=b"x" * (8 << 20), timeout=1)


def test_a_machine_that_dies_is_noticed_while_its_connection_stands(scripted: Make) -> None:
    machine = scripted(hold)

    with bounded(6, 20), Target(machine) as target:
        target._connection("root")
        threading.Timer(0.3, lambda: setattr(machine, "running", False)).start()
        with pytest.raises(BackendFailure) as caught:
            target.run(["x"])
    assert "the machine has ended" in caught.value.details


def test_a_channel_that_closes_without_a_status_is_a_lost_command(scripted: Make) -> None:
    lost = pytest.raises(BackendFailure, match="lost the connection to target fake")
    with Target(scripted(lambda channel, over: channel.close())) as target, lost:
        target.run(["x"])


def test_nothing_of_the_server_reaches_the_terminal(
    machine: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(machine(lambda theirs, over: theirs.sendall(b"\x1b]0;owned\x07\n" * 200)))
    refused(machine(lambda theirs, over: theirs.sendall(b"SSH-9.9-\x1b[2J\r\n")))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_connections_leave_no_threads(scripted: Make) -> None:
    machine = scripted(_succeed)
    with Target(machine) as target:
        target.run(["true"])
    until = time.monotonic() + 120
    while any(one.name.startswith("gbuild") for one in threading.enumerate()):
        assert time.monotonic() < until, threading.enumerate()
        time.sleep(0.02)


def _succeed(channel: paramiko.Channel, over: threading.Event) -> None:
    time.sleep(0.5)  # the answer to the request goes first
    channel.send_exit_status(0)
    channel.close()
