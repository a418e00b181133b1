"""What this host's VirtualBox can do for gbuild."""

from __future__ import annotations

from collections.abc import Iterator

from gbuild.backends.virtualbox.manage import Manage
from gbuild.errors import GbuildError
from gbuild.host.process import which
from gbuild.target.backend import Finding

_OLDEST = (6, 0)


def findings(manage: Manage) -> tuple[Finding, ...]:
    """Ask VBoxManage for its version and for machines; starts none."""
    return (*_virtualbox(manage), _ssh(), _disks())


def _virtualbox(manage: Manage) -> Iterator[Finding]:
    try:
        version, numbers = manage.version(), manage.release()
        machines = manage.machines().values()
    except GbuildError as error:
        detail = "; ".join((error.brief, *error.details[:3]))
        yield Finding("VBoxManage", "missing", detail, error.hint or "VBoxManage list vms")
        return
    state = Finding("VBoxManage", "ok", version)
    if numbers < _OLDEST:
        state = Finding("VBoxManage", "limited", f"{version}: 6.0 and later are expected")
    yield state
    ours = sorted(name for name in machines if name.startswith("Gitian-"))
    detail = ", ".join(ours) or "none of yours: gbuild makes them from locks (glock --boot)"
    yield Finding("machines", "ok", detail)


def _ssh() -> Finding:
    try:
        return Finding("ssh", "ok", str(which("ssh", package="openssh-client")))
    except GbuildError as error:
        return Finding("ssh", "missing", error.brief, error.hint)


def _disks() -> Finding:
    try:
        return Finding("mke2fs", "ok", str(which("mke2fs", package="e2fsprogs")))
    except GbuildError as error:
        return Finding("mke2fs", "limited", f"{error.brief}: no machine from a lock", error.hint)
