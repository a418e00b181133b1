"""What an LXD or Incus server offers, asked of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gbuild.backends.lxd import place
from gbuild.backends.lxd.daemon import Daemon
from gbuild.errors import GbuildError
from gbuild.target.backend import Finding


def findings(connect: Callable[[], Daemon], options: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return everything that was tried, what the backend cannot do without first."""
    try:
        daemon = connect()
    except GbuildError as error:
        detail = "; ".join((error.brief, *error.details))
        return (Finding("daemon", "missing", detail, error.hint or "start LXD or Incus"),)
    what = f"{daemon.flavour} {daemon.version} at {daemon.label}"
    return (
        Finding("daemon", "ok", what),
        _tried(daemon, "storage pool", lambda: _pool(daemon, options), needed=True),
        _tried(daemon, "network", lambda: _network(daemon, options), needed=False),
        _members(daemon),
    )


def _tried(daemon: Daemon, what: str, look: Callable[[], Finding], *, needed: bool) -> Finding:
    try:
        return look()
    except GbuildError as error:
        mend = error.hint or daemon.spoken("sudo lxd init")
        detail = "; ".join((error.brief, *error.details))
        return Finding(what, "missing" if needed else "limited", detail, mend)


def _pool(daemon: Daemon, options: Mapping[str, str]) -> Finding:
    pool = place.pool(daemon, options)
    if pool.copies_on_write:
        return Finding("storage pool", "ok", f"{pool.name}, {pool.driver}")
    detail = f"{pool.name}, {pool.driver}: every start copies the whole image, no size is held"
    mend = daemon.spoken("lxc storage create NAME btrfs")
    return Finding("storage pool", "limited", detail, mend)


def _network(daemon: Daemon, options: Mapping[str, str]) -> Finding:
    name = place.network(daemon, options)
    nic = place.nic(daemon, name)
    return Finding("network", "ok", f"{name}, {nic.gateway}/{nic.prefix}")


def _members(daemon: Daemon) -> Finding:
    if not daemon.clustered:
        return Finding("cluster", "ok", "none: one server")
    members = daemon.get("cluster", "members", recursion=1, doing="list members")
    offline = [str(m["server_name"]) for m in members if m.get("status") != "Online"]
    if offline:
        mend = daemon.spoken("lxc cluster list")
        return Finding("cluster", "limited", f"offline: {', '.join(offline)}", mend)
    return Finding("cluster", "ok", f"{len(members)} members online")
