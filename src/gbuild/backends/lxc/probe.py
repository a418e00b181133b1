"""What this host can do for LXC containers, tried for real, and what mends what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from gbuild.backends.lxc.box import PACKAGE, TOOLS
from gbuild.host.process import CLEAN_ENVIRONMENT
from gbuild.target import capable
from gbuild.target.backend import Finding


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
        capable.control_groups(),
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


def _missing(names: Iterable[str]) -> list[str]:
    path = CLEAN_ENVIRONMENT["PATH"]
    return [name for name in names if shutil.which(name, path=path) is None]
