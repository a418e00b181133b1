"""A target's way out: which kind the engine makes, and how it is taken away again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gbuild.backends.oci.engine import Engine
from gbuild.errors import BackendFailure
from gbuild.host.uplink import interfaces

_PATIENCE = 60.0
_HELPERS = ("slirp4netns", "pasta", "pasta.avx2")
_FORWARDER = "169.254.1.1"
_PASTA = (4, 4)
"""The first podman that knows pasta."""


def flags(engine: Engine, version: tuple[int, ...], *, wanted: bool) -> tuple[tuple[str, ...], str]:
    """Return flags for no network, or for the outside without the host's loopback.

    The other value is the target's resolv.conf.

    Raises:
        BackendFailure: podman has no helper for it.
    """
    if not wanted:
        return ("--network=none",), ""
    if engine.kind == "docker":
        return ("--network=bridge",), ""
    if shutil.which("slirp4netns") is not None and version < (6,):
        return ("--network=slirp4netns:allow_host_loopback=false",), "nameserver 10.0.2.3\n"
    if shutil.which("pasta") is not None and version >= _PASTA:
        closed = ",".join(f"-{mapping},none" for mapping in "tuTU")
        options = f"--config-net,--no-map-gw,--dns-forward,{_FORWARDER},{closed}"
        return (f"--network=pasta:{options}",), f"nameserver {_FORWARDER}\n"
    raise BackendFailure(
        "podman has no helper for networks of ordinary users",
        hint="sudo apt-get install slirp4netns",
    )


def cut(engine: Engine, name: str, pid: int) -> None:
    """Take the network of a container away for good; a second call does nothing more.

    Raises:
        BackendFailure: an interface other than the loopback is still there.
    """
    if interfaces(pid) == {"lo"}:
        return
    if engine.kind == "docker":
        engine.ask("network", "disconnect", "--force", "bridge", name)
    else:
        place = engine.ask("inspect", "--format={{.NetworkSettings.SandboxKey}}", name)
        for helper in _helpers(place.stdout.decode().strip(), pid):
            with suppress(ProcessLookupError):
                os.kill(helper, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE
    while (left := interfaces(pid) - {"lo"}) and time.monotonic() < deadline:
        time.sleep(0.005)
    if left:
        raise BackendFailure(f"the target still has a network: {', '.join(sorted(left))}")


def _helpers(place: str, pid: int) -> Iterator[int]:
    """Yield the processes of this person that connect one network namespace."""
    marks = {place, str(pid), f"/proc/{pid}/ns/net"} - {""}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended, or is not ours to see
        if os.path.basename(words[0]) in _HELPERS and marks.intersection(words[1:]):
            yield int(folder.name)


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers of a version such as 4.3.1."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
