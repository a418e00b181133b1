"""Machines whose SSH server is a function of the test, on the other end of a socket pair."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Callable, Iterator

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from gbuild.target.backend import Machine

Serve = Callable[[socket.socket, threading.Event], None]
"""Serves one connection; the event says that the test is over."""

Act = Callable[[paramiko.Channel, threading.Event], None]


def _pem() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        .decode()
    )


class FakeMachine(Machine):
    """Every connection is served by ``serve`` in a thread."""

    def __init__(self, serve: Serve, host_key: paramiko.PKey, client_key: str) -> None:
        self.name = "fake"
        self.user = "builder"
        self.facts = {}
        self.host_key = f"{host_key.get_name()} {host_key.get_base64()}"
        self.client_key = client_key
        self.running = True
        self.over = threading.Event()
        self._serve = serve
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._sockets.append(theirs)
        thread = threading.Thread(target=self._guarded, args=(theirs,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return ours

    def cut_network(self) -> None:
        raise NotImplementedError

    def alive(self) -> bool:
        return self.running

    def stop(self) -> None:
        self.running = False
        self.over.set()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        for one in self._sockets:
            one.close()

    def _guarded(self, theirs: socket.socket) -> None:
        try:
            self._serve(theirs, self.over)
        except (OSError, EOFError, paramiko.SSHException):
            return  # the client has had enough


class Script(paramiko.ServerInterface):
    """Lets everybody in and hands each session that asks for a command to ``act``."""

    def __init__(self, act: Act, over: threading.Event, *, answers: bool = True) -> None:
        self._act = act
        self._over = over
        self._answers = answers

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_FAILED if username == "nobody" else AUTH_SUCCESSFUL

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if not self._answers:
            self._over.wait(30)
        threading.Thread(target=self._quietly, args=(channel,), daemon=True).start()
        return True

    def _quietly(self, channel: paramiko.Channel) -> None:
        try:
            self._act(channel, self._over)
        except (OSError, EOFError, paramiko.SSHException):
            return


@pytest.fixture(scope="session")
def other_key() -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(_pem()))


@pytest.fixture(scope="session")
def host_key() -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(_pem()))


@pytest.fixture
def machine(host_key: paramiko.PKey) -> Iterator[Callable[[Serve], FakeMachine]]:
    made: list[FakeMachine] = []

    def make(serve: Serve) -> FakeMachine:
        made.append(FakeMachine(serve, host_key, _pem()))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def scripted(
    machine: Callable[[Serve], FakeMachine], host_key: paramiko.PKey
) -> Callable[..., FakeMachine]:
    """Return a machine with a real SSH server whose commands are played by ``act``."""

    def make(act: Act, *, key: paramiko.PKey | None = None, answers: bool = True) -> FakeMachine:
        def serve(theirs: socket.socket, over: threading.Event) -> None:
            transport = paramiko.Transport(theirs)
            transport.add_server_key(key or host_key)
            transport.start_server(server=Script(act, over, answers=answers))
            over.wait(60)
            transport.close()

        return machine(serve)

    return make
