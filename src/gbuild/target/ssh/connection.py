"""A connection to a machine: pinned host key, one client key, nothing of the person."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from paramiko.channel import Channel
from paramiko.ecdsakey import ECDSAKey
from paramiko.ed25519key import Ed25519Key
from paramiko.pkey import PKey
from paramiko.ssh_exception import AuthenticationException, SSHException
from paramiko.transport import Transport

from gbuild.errors import BackendFailure, Bug, GbuildError, TimedOut
from gbuild.target.backend import Machine
from gbuild.target.ssh.arrivals import WINDOW
from gbuild.target.ssh.session import Session
from gbuild.target.ssh.wire import MAX_PACKET, BoundedPacketizer

# The logger would print what the server says straight to the terminal.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)

_CIPHERS = ("aes128-gcm@openssh.com", "aes128-ctr")
_DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256", "hmac-sha1")
_KEX = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")
_REASON_LENGTH = 200
_SEND_BUFFER = 1 << 20


class Silent(TimedOut):
    """Nobody greeted at the other end of a new stream; another stream may do better."""


class Guard:
    """A clock: calls ``act`` after ``seconds``, in a thread, unless it is cancelled before."""

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self.expired = False
        self._act = act
        self._clock = threading.Timer(max(0.0, seconds), self._expire)
        self._clock.daemon = True
        self._clock.start()

    def cancel(self) -> None:
        """Stop the clock; too late when ``expired``."""
        self._clock.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def _expire(self) -> None:
        self.expired = True
        self._act()


class Connection:
    """An authenticated connection of one user; several sessions may run over it at once."""

    def __init__(self, machine: Machine, user: str) -> None:
        self._machine = machine
        self.user = user
        self._silent = False
        self._agreed = threading.Event()
        self._link = machine.connect()
        # While the server works through one batch we seal the next.
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._transport = Transport(
            self._link,
            default_window_size=WINDOW,
            default_max_packet_size=MAX_PACKET,
            packetizer_class=BoundedPacketizer,
        )

    @property
    def active(self) -> bool:
        """Whether the connection still stands."""
        return self._transport.is_active()

    @property
    def usable(self) -> bool:
        """Whether the connection stands and the machine runs (asks the machine)."""
        return self.active and self._machine.alive()

    def closing_in(self, seconds: float) -> Guard:
        """Return a running clock that closes the connection unless it is cancelled."""
        return Guard(seconds, self._transport.close)

    def session(
        self, command: bytes, *, timeout: float, terminal: tuple[str, int, int] | None = None
    ) -> Session:
        """Start ``command`` in the user's shell (the login shell itself when empty).

        Raises:
            TimedOut: no answer within ``timeout`` seconds.
            BackendFailure: the connection was lost, or the server refused.
        """
        until = time.monotonic() + timeout
        with self._waiting(timeout, f"{self._machine.name} to open a session"):
            session = Session(self._open(until), self._packetizer)
        with self._waiting(until - time.monotonic(), f"{self._machine.name} to start a command"):
            session.start(command, terminal=terminal)
        return session

    def lost(self, doing: str) -> BackendFailure:
        """Return the error that says why the connection no longer serves."""
        reason = self._transport.saved_exception
        machine = "still runs" if self._machine.alive() else "has ended"
        said = f"{type(reason).__name__}: {reason}"[:_REASON_LENGTH] if reason else "closed"
        return BackendFailure(
            f"lost the connection to target {self._machine.name} while {doing}",
            details=(f"connection: {said}", f"the machine {machine}", *self._machine.overheard()),
        )

    def close(self) -> None:
        """End the connection and the thread that serves it."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._transport.close()
        self._link.close()
        if self._transport.is_alive():
            self._transport.join(1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _packetizer(self) -> BoundedPacketizer:
        packetizer = self._transport.packetizer
        if not isinstance(packetizer, BoundedPacketizer):
            raise Bug("the connection reads packets without limits")
        return packetizer

    def _open(self, until: float) -> Channel:
        return self._transport.open_session(timeout=max(0.0, until - time.monotonic()))

    def establish(self, timeout: float, greeting: float) -> None:
        """Agree on keys, check the host key, log in; see :func:`connect`."""
        until = time.monotonic() + timeout
        name, transport = self._machine.name, self._transport
        kind, blob = _host_key(self._machine)
        options = transport.get_security_options()
        options.ciphers, options.digests = _CIPHERS, _DIGESTS
        options.kex, options.key_types = _KEX, (kind,)
        with (
            self._waiting(timeout, f"the SSH server of {name} to agree on keys"),
            Guard(min(greeting, timeout), self._close_if_silent),
        ):
            # An end by close() alone leaves the event unset.
            transport.banner_timeout = transport.handshake_timeout = timeout + 1
            transport.start_client(event=self._agreed)
            self._agreed.wait(timeout + 0.2)
            if not (self._agreed.is_set() and transport.is_active()):
                raise transport.saved_exception or EOFError()
        if transport.get_remote_server_key().asbytes() != blob:
            raise BackendFailure(
                f"target {name} showed another SSH host key than the one it was given",
                details=("something else answers in its place; nothing was sent to it",),
            )
        key = _client_key(self._machine)
        with self._waiting(until - time.monotonic(), f"{name} to let {self.user} in"):
            transport.auth_timeout = timeout + 1
            transport.auth_publickey(self.user, key)

    def _close_if_silent(self) -> None:
        if not self._transport.remote_version:
            self._silent = True
            self._transport.close()
            self._agreed.set()

    @contextmanager
    def _waiting(self, timeout: float, what: str) -> Iterator[None]:
        """Close the connection when the block takes longer; most of paramiko waits for ever."""
        with self.closing_in(timeout) as guard:
            try:
                yield
            except (SSHException, OSError, EOFError) as error:
                raise self._failure(what, timeout, error, late=guard.expired) from error

    def _failure(self, what: str, timeout: float, error: Exception, *, late: bool) -> GbuildError:
        if self._silent:
            text = f"waited for {what}, and nothing greeted"
            return Silent(text, details=self._machine.overheard())
        if late:
            said = self._machine.overheard()
            return TimedOut(f"waited {timeout:.3g} seconds for {what}", details=said)
        if isinstance(error, AuthenticationException) and self.active:
            return BackendFailure(f"target {self._machine.name} refused user {self.user}")
        return self.lost(f"waiting for {what}")


def connect(
    machine: Machine, user: str, *, timeout: float, greeting: float | None = None
) -> Connection:
    """Connect as ``user`` over the machine's stream.

    Raises:
        Silent: no server greeted within ``greeting`` seconds.
        TimedOut: no connection within ``timeout`` seconds; says what was waited for.
        BackendFailure: another host key, a refused user, or a server that misbehaves.
    """
    connection = Connection(machine, user)
    try:
        connection.establish(timeout, timeout if greeting is None else greeting)
    except BaseException:
        connection.close()
        raise
    return connection


def _host_key(machine: Machine) -> tuple[str, bytes]:
    try:
        kind, text = machine.host_key.split()[:2]
        return kind, base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Bug(f"target {machine.name} has no readable host key") from None


def _client_key(machine: Machine) -> PKey:
    kinds: tuple[type[PKey], ...] = (Ed25519Key, ECDSAKey)
    for kind in kinds:
        with contextlib.suppress(SSHException):
            return kind.from_private_key(io.StringIO(machine.client_key))
    raise Bug(f"target {machine.name} has no readable client key")
