"""What this host can do for LXC containers, tried for real, and what mends what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from gbuild.backends.lxc.box import PACKAGE, TOOLS
from gbuild.host import cgroup
from gbuild.host.process import CLEAN_ENVIRONMENT
from gbuild.target import capable
from gbuild.target.backend import Finding

_CONTROLLERS = {"memory", "cpu", "pids"}


def findings(environment: Mapping[str, str], store: Path, way: str) -> tuple[Finding, ...]:
    """Return everything that was tried, what the backend cannot do without first."""
    users = capable.user_map(environment)
    return (
        tools(),
        capable.machine(),
        capable.switches(),
        users,
        *(capable.trial(environment) if users.state == "ok" else ()),
        capable.pasta() if way == "pasta" else bridges(),
        control_groups(),
        capable.memory(),
        capable.disk(store),
    )


def tools() -> Finding:
    """Look for the programs of liblxc."""
    if missing := _missing(TOOLS):
        mend = f"sudo apt-get install --no-install-recommends {PACKAGE}"
        return Finding("liblxc's tools", "missing", f"no {', '.join(missing)}", mend)
    return Finding("liblxc's tools", "ok", ", ".join(TOOLS))


def bridges() -> Finding:
    """Needed only by builds that ask for the network."""
    what, detail = "network (bridge)", "only builds with network: full need it"
    if missing := _missing(("ip", "nft", "nsenter")):
        mend = "sudo apt-get install iproute2 nftables util-linux"
        return Finding(what, "limited", f"no {', '.join(missing)}; {detail}", mend)
    return Finding(what, "ok", "for builds with network: full")


def control_groups() -> Finding:
    """Containers run without control groups of their own, but then as a whole without limits."""
    held = frozenset[str]().union(*(place.controllers for place in cgroup.places()))
    if not (missing := _CONTROLLERS - held):
        return Finding("limits (cgroups)", "ok", "memory, cpu, pids")
    detail = f"unlimited as a whole: {', '.join(sorted(missing))}; only per process"
    return Finding("limits (cgroups)", "limited", detail, delegation(sorted(missing)))


def delegation(controllers: Iterable[str]) -> str:
    """Return the command that gives this person control groups."""
    if os.path.isdir("/run/systemd/system"):
        return "systemd-run --user --scope -p Delegate=yes -- gbuild ... (not tested)"
    user = os.environ.get("USER") or str(os.geteuid())
    folders = " ".join(f"/sys/fs/cgroup/{name}/{user}" for name in controllers)
    return (
        f"sudo sh -c 'for g in {folders}; do mkdir -p $g && chown {os.geteuid()} $g"
        f" $g/cgroup.procs $g/tasks && echo '$$' > $g/cgroup.procs; done'"
    )


def _missing(names: Iterable[str]) -> list[str]:
    path = CLEAN_ENVIRONMENT["PATH"]
    return [name for name in names if shutil.which(name, path=path) is None]
