"""The process that keeps a detached target: it starts it, and hands out connections to it.

For backends without a daemon, whose targets live as long as a process of ours.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
import subprocess  # noqa: TID251 - a process that outlives this one
import sys
import traceback
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

from gbuild.errors import BackendFailure, GbuildError
from gbuild.model.event import discard
from gbuild.target.backend import Backend, TargetSpec
from gbuild.target.contained import ContainedMachine, listen
from gbuild.target.registry import Registry

_SOURCES = str(Path(__file__).parents[2])
_START = "import sys; sys.path += sys.argv[2:];from gbuild.target.keeper import main; main()"
_NEEDED = ("HOME", "XDG_CACHE_HOME", "GBUILD_STORE", "GBUILD_SUBUID_BASE")
_REQUEST = 64
_PATIENCE = 5.0


class Keepable(Backend):
    """A backend whose targets can be kept."""

    @abstractmethod
    def launch(self, spec: TargetSpec, *, detached: bool) -> ContainedMachine:
        """Start a target in this process and write it down."""


def _folder_of(kind: type[Backend]) -> str:
    """Return the folder from which a backend's package is imported, be it ours or another's."""
    package = sys.modules[kind.__module__.partition(".")[0]]
    return str(Path(next(iter(package.__path__))).parent)


def spawn(backend: Keepable, spec: TargetSpec, **more: object) -> None:
    """Start a keeper; returns when its target runs.

    ``more`` are further arguments of the backend's class; all must be what pickle takes.

    Raises:
        GbuildError: whatever stopped it there.
    """
    environment = dict(backend.environment)
    arguments = {
        "store": backend.store,
        "environment": environment,
        "options": dict(backend.options),
        **more,
    }
    process = subprocess.Popen(
        (sys.executable, "-I", "-c", _START, spec.name, _SOURCES, _folder_of(type(backend))),
        env={name: environment[name] for name in _NEEDED if name in environment},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    answer, _ = process.communicate(pickle.dumps((type(backend), arguments, spec)))
    failure = pickle.loads(answer) if answer else "the keeper died"  # noqa: S301 - our own child
    if isinstance(failure, GbuildError):
        raise failure
    if failure:
        raise BackendFailure("the target could not be kept", details=(str(failure),))


def main() -> None:
    """Start the target that standard input describes, say so on standard output, and keep it."""
    if os.fork():  # nobody waits for the keeper: let init do it
        os._exit(0)
    kind, arguments, spec = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent
    try:
        keeper = _Keeper(kind, arguments, spec)
    except GbuildError as error:
        _answer(error)
        return
    except BaseException:
        _answer(traceback.format_exc())
        raise
    try:
        _answer("")
    except BrokenPipeError:  # whoever wanted the target was killed
        keeper.stop()
        return
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    keeper.serve()


def _answer(failure: GbuildError | str) -> None:
    if isinstance(failure, GbuildError) and type(failure).__init__ is not GbuildError.__init__:
        failure = BackendFailure(failure.brief, details=failure.details, hint=failure.hint)
    os.write(1, pickle.dumps(failure))


class _Keeper:
    def __init__(self, kind: type[Keepable], arguments: dict[str, Any], spec: TargetSpec) -> None:
        backend = kind(**arguments, sink=discard)
        registry = Registry(backend.store, kind.name)
        self._machine = backend.launch(spec, detached=True)
        self._door = listen(registry.folder, f"{self._machine.id}.sock")

    def serve(self) -> None:
        """Answer requests until the target ends or is told to."""
        ended = os.pidfd_open(self._machine.pid)
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        poller.register(self._door, select.POLLIN)
        while ended not in {descriptor for descriptor, _ in poller.poll()}:
            self._attend()
        self.stop()

    def stop(self) -> None:
        """End the target."""
        self._machine.stop()

    def _attend(self) -> None:
        guest, _ = self._door.accept()
        with guest:
            guest.settimeout(_PATIENCE)
            try:
                self._handle(guest, guest.recv(_REQUEST).decode(errors="replace"))
            except GbuildError as error:
                with suppress(OSError):  # the guest may have gone meanwhile: the target stays
                    guest.send(f"failed: {error.brief}".encode())
            except OSError:
                return  # the guest went away

    def _handle(self, guest: socket.socket, request: str) -> None:
        if request == "connect":
            with self._machine.connect() as stream:
                socket.send_fds(guest, [b"ok"], [stream.fileno()])
        elif request == "cut":
            self._machine.cut_network()
            guest.send(b"ok")
        elif request == "stop":
            self._machine.stop()
            guest.send(b"ok")
        else:
            guest.send(b"failed: unknown request")
