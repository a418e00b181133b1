"""Start a container: namespaces of our own around the liblxc tools, and one root inside them."""

from __future__ import annotations

import os
import select
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.backends.lxc import configuration, profile
from gbuild.errors import BackendFailure
from gbuild.host.cgroup import Group
from gbuild.host.idmap import IdMap
from gbuild.host.process import which
from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.layout import File, Layout, before, furnish, process, stage
from gbuild.host.sandbox.machine import Clocks, Sandbox, prefer_for_killing
from gbuild.host.sandbox.spawn import Launcher
from gbuild.target.guest import DAEMON

if TYPE_CHECKING:
    from gbuild.host.sandbox.launcher import Job
    from gbuild.host.sandbox.steps import Step

PACKAGE = "lxc"
TOOLS = ("lxc-start", "lxc-attach")

_ATTENDANT = Path(__file__).parent / "attendant.py"
_NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_PATIENCE = 60.0
_LINE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxSpec:
    """A container: ``token`` names it among all of this host, ``groups`` its control groups."""

    token: str
    groups: str
    layout: Layout
    idmap: IdMap
    i386: bool = False
    clocks: Clocks | None = None


def start(spec: BoxSpec, group: Group) -> tuple[Sandbox, int]:
    """Start a container under the limits of ``group``; it ends with this process at the latest.

    Returns what keeps the container, and a pid in its network namespace.

    Raises:
        BackendFailure: liblxc, or the kernel, refused; says what.
        HostFailure: the host refused the user map.
        MissingTool: liblxc's tools are not installed.
    """
    job = _job(spec, {name: str(which(name, package=PACKAGE)) for name in TOOLS})
    launcher = Launcher()
    try:
        prefer_for_killing(launcher.process.pid)
        group.add(launcher.process.pid)
        if os.geteuid() == 0:
            group.hand_over(spec.idmap.outside(0), spec.idmap.gids[0][1])
        launcher.send(job)
        launcher.map_users(spec.idmap)
        return Sandbox(launcher), _ready(launcher)
    except BaseException:
        launcher.end()
        raise


def _job(spec: BoxSpec, tools: dict[str, str]) -> Job:
    name = ("-P", configuration.PLACE, "-n", spec.token)
    init = File(path=configuration.INIT, data=configuration.INIT_SCRIPT)
    layout = replace(spec.layout, files=(*spec.layout.files, init))
    job: Job = {
        "namespaces": _NAMESPACES,
        "mapped": True,
        "before": before(spec.layout),
        "attendant": str(_ATTENDANT),
        "steps": [("private",), *stage(spec.layout), *_own_mounts(), *_files(spec)],
        "inside": furnish(layout),
        "process": process(spec.layout),
        "start": [tools["lxc-start"], *name, "-d"],
        "daemon": [
            *(tools["lxc-attach"], *name, "--clear-env"),
            *("-v", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "--", *DAEMON),
        ],
        "log": configuration.LOG,
    }
    if spec.clocks is not None:
        job["namespaces"] |= kernel.CLONE_NEWTIME
        job["clocks"] = spec.clocks.offsets
    return job


def _own_mounts() -> list[Step]:
    """What the tools need to themselves: processes, and a place for their locks."""
    return [
        ("mount", "proc", "/proc", "proc", _QUIET, ""),
        ("mount", "run", "/run", "tmpfs", _QUIET, "mode=755,size=1m,nr_inodes=100"),
    ]


def _files(spec: BoxSpec) -> list[Step]:
    text = configuration.container(spec.layout, spec.groups)
    calls = profile.text(i386_sockets=spec.i386)
    folder = f"{configuration.PLACE}/{spec.token}"
    return [
        ("directory", folder, 0o755),
        ("write", f"{folder}/config", 0o644, 0, text.encode()),
        ("write", configuration.PROFILE, 0o644, 0, calls.encode()),
    ]


def _ready(launcher: Launcher) -> int:
    """Wait until the container runs; return the pid of its first process."""
    if not select.select([launcher.control], [], [], _PATIENCE)[0]:
        raise BackendFailure(f"liblxc did not start a container in {_PATIENCE:g} s")
    message, descriptors, _, _ = socket.recv_fds(launcher.control, _LINE, 1)
    if message != b"ready" or len(descriptors) != 1:
        why = message.decode(errors="replace").removeprefix("failed ") or "it died"
        raise BackendFailure("liblxc could not start a container", details=(why,), hint="gdoctor")
    with os.fdopen(descriptors[0]):
        return _pid_of(descriptors[0])


def _pid_of(pidfd: int) -> int:
    """Translate a pidfd that came from another pid namespace."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
