"""The way out of a target: pasta, with every mapping to this host switched off."""

from __future__ import annotations

import ipaddress
import os
import subprocess  # noqa: TID251 - a daemon that runs beside the target
import sys
import tempfile
import time
from pathlib import Path

from gbuild.errors import BackendFailure, HostFailure
from gbuild.host import sandbox
from gbuild.host.process import which

_CLOSED = tuple(word for mapping in "tuTU" for word in (f"-{mapping}", "none"))
_OPTIONS = ("--config-net", "--no-map-gw", *_CLOSED, "-f", "-q")
_FORWARDER = "169.254.1.1"
"""Where the inside finds a resolver when the host's own is on its loopback."""

_SOURCES = str(Path(sandbox.__file__).parents[3])
_GUARD = (
    "import sys; sys.path.append(sys.argv[1]);from gbuild.host.sandbox.guard import main; main()"
)
_TUNNEL = "/dev/net/tun"
_PATIENCE = 60.0


def interfaces(pid: int) -> frozenset[str]:
    """Return the network interfaces that a process sees."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    return frozenset(line.partition(":")[0].strip() for line in lines)


def tunnel_mend() -> str | None:
    """Return the command that makes tunnel interfaces possible, or None if they are."""
    if not os.path.exists(_TUNNEL):
        return "sudo modprobe tun"
    return None if os.access(_TUNNEL, os.R_OK | os.W_OK) else f"sudo chmod 0666 {_TUNNEL}"


def resolver(places: tuple[Path, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """Return the text of a target's resolv.conf, and pasta's options that make it work."""
    for place in places or (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        if servers := _reachable(place):
            return "".join(f"nameserver {server}\n" for server in servers), ()
    return f"nameserver {_FORWARDER}\n", ("--dns-forward", _FORWARDER)


def _reachable(place: Path) -> tuple[str, ...]:
    """Return the servers of a resolv.conf that do not listen on the host's loopback."""
    try:
        words = [line.split() for line in place.read_text(errors="replace").splitlines()]
    except OSError:
        return ()
    servers = (w[1] for w in words if len(w) > 1 and w[0] == "nameserver")
    return tuple(server for server in servers if _is_remote(server))


def _is_remote(server: str) -> bool:
    try:
        return not ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False


class Uplink:
    """A running pasta for one network namespace; it ends with this process."""

    def __init__(self, pid: int, options: tuple[str, ...] = ()) -> None:
        """Connect the network namespace of ``pid``; returns when packets can flow.

        Raises:
            MissingTool: pasta is not installed.
            HostFailure: this person may not make tunnel interfaces.
            BackendFailure: it ended or was not ready in time.
        """
        self._pid = pid
        pasta = str(which("pasta", package="passt"))
        if (mend := tunnel_mend()) is not None:
            raise HostFailure(f"{_TUNNEL} cannot be used: no network for targets", hint=mend)
        user = ("--runas", "0") if os.geteuid() == 0 else ()  # else nobody, who may not enter
        with tempfile.TemporaryDirectory(prefix="gbuild-") as folder:
            ready = Path(folder) / "pid"
            words = (pasta, *_OPTIONS, *user, *options, "-P", str(ready), str(pid))
            complaints = Path(folder) / "stderr"
            with complaints.open("wb") as stderr:
                self._guard = subprocess.Popen(
                    (os.path.realpath(sys.executable), "-I", "-S", "-c", _GUARD, _SOURCES, *words),
                    env={},
                    cwd="/",
                    stdin=subprocess.PIPE,
                    stdout=stderr,
                    stderr=stderr,
                )
            self._wait(ready, complaints)

    def _wait(self, ready: Path, complaints: Path) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not (ready.exists() and len(interfaces(self._pid)) > 1):
            if self._guard.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = complaints.read_text(errors="replace").splitlines()[-5:]
                raise BackendFailure("pasta could not connect the target", details=tuple(tail))
            time.sleep(0.002)

    def cut(self) -> None:
        """End pasta; its interface goes with it. A second call does nothing more.

        Raises:
            BackendFailure: an interface other than the loopback is still there.
        """
        self.stop()
        deadline = time.monotonic() + _PATIENCE
        while (left := interfaces(self._pid) - {"lo"}) and time.monotonic() < deadline:
            time.sleep(0.002)
        if left:
            raise BackendFailure(f"the target still has a network: {', '.join(sorted(left))}")

    def stop(self) -> None:
        """End pasta without looking whether its interface is gone."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()
