"""A sandbox that stays until it is ended, and answers SSH on as many streams as are asked for."""

from __future__ import annotations

import array
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import BackendFailure
from gbuild.host.idmap import IdMap
from gbuild.host.sandbox import kernel, seccomp
from gbuild.host.sandbox.layout import Layout, before, steps
from gbuild.host.sandbox.policy import CAPABILITIES, NAMESPACES
from gbuild.host.sandbox.spawn import Launcher

if TYPE_CHECKING:
    from gbuild.host.sandbox.launcher import Job

_OUT_OF_MEMORY_FIRST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Seconds added to the monotonic and boot clocks inside; see time_namespaces(7)."""

    monotonic: int = 0
    boot: int = 0

    @property
    def offsets(self) -> str:
        """The text of /proc/<pid>/timens_offsets."""
        return f"monotonic {self.monotonic} 0\nboottime {self.boot} 0\n"


def clocks_of(extras: Mapping[str, str]) -> Clocks | None:
    """Return the clocks that a target's ``clock.monotonic`` and ``clock.boot`` ask for."""
    if not {"clock.monotonic", "clock.boot"} & extras.keys():
        return None
    return Clocks(
        monotonic=int(extras.get("clock.monotonic", "0")), boot=int(extras.get("clock.boot", "0"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """A sandbox: what it looks like, and the command that serves one SSH connection on stdin."""

    layout: Layout
    idmap: IdMap
    daemon: tuple[str, ...]
    i386: bool = False
    clocks: Clocks | None = None


class Sandbox:
    """A running sandbox. Safe to use from several threads."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The launcher's pid: it lives in the sandbox's network namespace."""
        return self._launcher.process.pid

    def alive(self) -> bool:
        """Say whether the sandbox still runs."""
        return self._launcher.process.poll() is None

    def open_stream(self) -> socket.socket:
        """Return a stream on whose other end the daemon speaks.

        Raises:
            BackendFailure: the sandbox has ended.
        """
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))
            try:
                self._launcher.control.sendmsg([b"ssh"], [rights])
            except OSError as error:
                ours.close()
                raise BackendFailure("the sandbox has ended", details=(str(error),)) from error
        return ours

    def end(self) -> None:
        """End everything in it; returns when nothing of it is left."""
        with self._lock:
            self._launcher.end()


def start(spec: SandboxSpec, *, enter: Callable[[int], None] | None = None) -> Sandbox:
    """Start a sandbox; it ends with this process at the latest.

    ``enter`` is called with the launcher's pid before it has made anything, to put it under
    limits that everything below it inherits.

    Raises:
        BackendFailure: it could not be made; says at which step.
        HostFailure: the host refused the user map.
    """
    launcher = Launcher()
    try:
        prefer_for_killing(launcher.process.pid)
        if enter is not None:
            enter(launcher.process.pid)
        launcher.send(_job(spec))
        launcher.map_users(spec.idmap)
        launcher.expect(b"ready")
    except BaseException:
        launcher.end()
        raise
    return Sandbox(launcher)


def _job(spec: SandboxSpec) -> Job:
    job: Job = {
        "namespaces": NAMESPACES | kernel.CLONE_NEWUSER,
        "mapped": True,
        "before": before(spec.layout),
        "steps": steps(spec.layout),
        "sudo": spec.layout.sudo,
        "filter": seccomp.program(i386_sockets=spec.i386),
        "capabilities": CAPABILITIES,
        "daemon": list(spec.daemon),
    }
    if spec.clocks is not None:
        job["namespaces"] |= kernel.CLONE_NEWTIME
        job["clocks"] = spec.clocks.offsets
    return job


def prefer_for_killing(pid: int) -> None:
    """When the host runs out of memory, let the kernel take the sandbox before other things."""
    path = Path(f"/proc/{pid}/oom_score_adj")
    if int(path.read_text()) < _OUT_OF_MEMORY_FIRST:
        path.write_text(f"{_OUT_OF_MEMORY_FIRST}\n")
