"""The talk with a machine that waits for its order, over a port that only its init has open.

Nothing that the machine says is believed beyond three words: ``ready``, ``up`` and ``failed``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gbuild.backends.kvm.domain import CHANNEL
from gbuild.backends.kvm.library import Connection, DomainHandle, load, out_of_room, told
from gbuild.errors import BackendFailure, TimedOut

_LINE = 200
_PIECE = 4096
_PAUSE = 0.02
_AGAIN = -2
"""What libvirt's streams return instead of waiting."""


class Channel:
    """Our end of a machine's channel; the machine ends itself when it is closed, unless kept."""

    def __init__(
        self, connection: Connection, domain: DomainHandle, name: str, *, host: str = "this host"
    ) -> None:
        """Open the channel of a running domain; ``name`` and ``host`` are for errors.

        Raises:
            BackendFailure: somebody else has it, or the machine has ended.
        """
        libvirt = load()
        self._domain = domain
        self._name = name
        self._host = host
        self._heard = b""
        with told(f"the channel of {name} cannot be opened"):
            self._stream: Any = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            domain.openChannel(CHANNEL, self._stream, 0)

    def expect(self, word: str, *, timeout: float) -> None:
        """Wait until the machine says ``word``.

        Raises:
            BackendFailure: it said that it failed, or ended.
            TimedOut: it said nothing for ``timeout`` seconds.
        """
        until = time.monotonic() + timeout
        while (line := self._line(until)) != word:
            if line.startswith("failed: "):
                text = f"the target {self._name} could not be set up"
                raise BackendFailure(text, details=(line,))

    def send(self, data: bytes, *, timeout: float = 30.0) -> None:
        """Send bytes.

        Raises:
            BackendFailure: the machine ended.
            TimedOut: it did not take them.
        """
        until = time.monotonic() + timeout
        view = memoryview(data)
        while view:
            piece = bytes(view[:_PIECE])
            sent = self._try(partial(self._stream.send, piece))
            if sent == _AGAIN:
                self._pause(until)
            else:
                view = view[sent:]

    def close(self) -> None:
        """Let go of our end."""
        libvirt = load()
        try:
            self._stream.abort()
        except libvirt.libvirtError:
            return  # the machine was first

    def keep(self) -> None:
        """Let go of our end; a machine that was told to stay does not mind."""
        self.close()

    def _line(self, until: float) -> str:
        while b"\n" not in self._heard:
            data = self._try(partial(self._stream.recv, _PIECE))
            if data == _AGAIN:
                self._pause(until)
            elif not data or len(self._heard) > _LINE:
                raise BackendFailure(f"the target {self._name} ended while it was started")
            else:
                self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _try(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - as libvirt returns it
        with told(f"the target {self._name} ended while it was started"):
            return work()

    def _pause(self, until: float) -> None:
        """Let libvirt bring what has arrived, which it does while it answers a question."""
        if self._try(partial(out_of_room, self._domain)):
            text = f"what the target {self._name} writes finds no room on {self._host}"
            raise BackendFailure(text, hint="free some space there, or take another disk")
        if time.monotonic() > until:
            raise TimedOut(f"the target {self._name} did not answer in time")
        time.sleep(_PAUSE)
