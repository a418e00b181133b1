"""Containers as the rest of gbuild sees them."""

from __future__ import annotations

import socket
import subprocess  # noqa: TID251 - processes that live beside this one
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from gbuild.backends.oci import network
from gbuild.backends.oci.engine import Engine
from gbuild.errors import BackendFailure
from gbuild.target.backend import Machine
from gbuild.target.guest import DAEMON
from gbuild.target.registry import Entry, born

FOREIGN = "the engine"
"""Where an image is from that a person named; the fact ``image_from``."""

_PATIENCE = 20.0


class OciMachine(Machine):
    """A running container.

    Args:
        entry: what the registry knows of it.
        name: the container's.
        pid: its first process, as this host numbers it.
        client: the engine's process that holds its standard input; None for a detached one.
        cleanup: is called once it is gone.
    """

    def __init__(
        self,
        entry: Entry,
        engine: Engine,
        *,
        name: str,
        pid: int,
        client: subprocess.Popen[bytes] | None,
        cleanup: Callable[[], None],
    ) -> None:
        self.name = entry.name
        self.user = entry.user
        self.host_key = entry.host_key
        self.client_key = entry.client_key
        self.facts: Mapping[str, str] = entry.facts
        self.foreign = entry.facts.get("image_from") == FOREIGN
        self._engine = engine
        self._container = name
        self._pid = pid
        self._born = born(pid)
        self._client = client
        self._cleanup = cleanup
        self._waiters: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def connect(self) -> socket.socket:
        """Return a stream to a new SSH server in the container."""
        if not self.alive():
            raise BackendFailure(f"the target {self.name} has ended")
        ours, theirs = socket.socketpair()
        with theirs:
            stream = self._engine.begin(
                *("exec", "--interactive", "--user=0:0", self._container, *DAEMON),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )
        waiter = threading.Thread(target=stream.wait, name=f"exec-{self.name}", daemon=True)
        waiter.start()  # the stream ends when either end is closed; somebody must wait for it
        with self._lock:
            self._waiters = [one for one in self._waiters if one.is_alive()]
            self._waiters.append(waiter)
        return ours

    def cut_network(self) -> None:
        """Take the network away for good, or end the target."""
        try:
            network.cut(self._engine, self._container, self._pid)
        except FileNotFoundError:
            return  # its first process is gone, and the network with it
        except BackendFailure:
            self.stop()  # better no machine than one with a forbidden network
            raise

    def alive(self) -> bool:
        """Say whether the container's first process runs."""
        return bool(self._born) and born(self._pid) == self._born

    def stop(self) -> None:
        """End the container; returns when the engine has removed it.

        Raises:
            BackendFailure: it still runs, as its daemon is down; a later call tries again.
        """
        with self._lock:
            if self._stopped:
                return
            self._end()
            self._stopped = True
            for waiter in self._waiters:
                waiter.join(_PATIENCE)
            self._cleanup()

    def _end(self) -> None:
        if self._client is not None and self._client.stdin is not None:
            self._client.stdin.close()  # its first process ends by that
            with suppress(subprocess.TimeoutExpired):
                self._client.wait(_PATIENCE)
                if not self.alive():  # it also ends when docker's daemon dies, and the target not
                    return
        remove(self._engine, self._container)
        if self._client is not None:
            self._client.kill()
            self._client.wait()


def outlive(name: str) -> None:
    """Wait until no process of the engine runs the container any more or still makes it.

    What a killed run leaves ends by itself: its standard input has ended. To end it by force
    would leave half a container.
    """
    mark = f"--name={name}".encode()
    deadline = time.monotonic() + _PATIENCE
    while _runs(mark) and time.monotonic() < deadline:
        time.sleep(0.02)


def _runs(word: bytes) -> bool:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            if word in place.read_bytes().split(b"\0"):
                return True
    return False


def remove(engine: Engine, name: str) -> bool:
    """Remove a container with whatever runs in it; say whether there was one.

    Raises:
        BackendFailure: it is still there.
    """
    quick = ("--time=0", "--ignore") if engine.kind == "podman" else ()
    deadline = time.monotonic() + _PATIENCE
    while True:
        done = engine.ask("rm", "--force", "--volumes", *quick, name, check=False)
        text = done.stderr.decode(errors="replace").lower()
        if done.returncode == 0 or "no such container" in text:
            break
        if "in progress" not in text or time.monotonic() > deadline:
            raise engine.failure(f"the container {name} could not be removed", done.stderr)
        time.sleep(0.05)  # docker removes it already: its client was killed
    return name in done.stdout.decode(errors="replace")
