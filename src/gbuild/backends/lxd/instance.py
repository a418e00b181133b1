"""What an instance of ours looks like to the server: pure composition, no connection."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gbuild.backends.lxd.inside import first_process
from gbuild.backends.lxd.place import Nic, Pool
from gbuild.target.backend import Limits, TargetSpec

STORE, ID, NAME, BASE = (f"user.gbuild.{word}" for word in ("store", "id", "name", "base"))
"""Keys of the labels: whose it is, which target, its name; and which image a base is kept for."""

NETWORK_DEVICE = "eth0"
_RUN = 64 << 20
_SHARED = 256 << 20
_QUIET = "nosuid,nodev"
_CLOSED = {
    "security.nesting": "false",
    "security.privileged": "false",
    "boot.autostart": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the instance of a target is made of.

    ``flavour`` is the server's, ``scratch`` the size in bytes of a file system in memory.
    """

    flavour: str
    pool: Pool
    image_size: int
    scratch: int
    nic: Nic | None = None


def instance_name(name: str) -> str:
    """Return a name nobody has: letters, digits and hyphens, at most 63 of them."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")[:40]
    return f"gbuild-{plain}-{secrets.token_hex(4)}".replace("--", "-")


def labels(store: str, identity: str, name: str) -> dict[str, str]:
    """Return the labels of a target's instance."""
    return {STORE: store, ID: identity, NAME: name}


def configuration(spec: TargetSpec, shape: Shape) -> dict[str, str]:
    """Return the instance's configuration without its labels."""
    limits = spec.limits
    guest = "security.guestapi" if shape.flavour == "incus" else "security.devlxd"
    result = {
        **_CLOSED,
        guest: "false",
        "limits.kernel.core": "1",
        "raw.lxc": "\n".join(_liblxc(spec, shape)),
    }
    if limits.memory is not None:
        more = shape.scratch if spec.scratch == "tmpfs" else 0
        result["limits.memory"] = f"{limits.memory + more}B"
    if cpus := _processors(spec):
        result["limits.cpu"] = cpus
    if limits.processes is not None:
        result["limits.processes"] = str(limits.processes)
    return result


def devices(spec: TargetSpec, shape: Shape) -> dict[str, dict[str, str]]:
    """Return the instance's devices: its root, and a network card only if it has a network."""
    root = {"type": "disk", "path": "/", "pool": shape.pool.name}
    if shape.pool.holds_quota and spec.limits.disk is not None:
        root["size"] = f"{shape.image_size + spec.limits.disk}B"
    result = {"root": root}
    if shape.nic is not None:
        result[NETWORK_DEVICE] = {
            "type": "nic",
            "name": NETWORK_DEVICE,
            "network": shape.nic.network,
            "ipv4.address": shape.nic.address,
            "security.port_isolation": "true",
        }
    return result


def _liblxc(spec: TargetSpec, shape: Shape) -> list[str]:
    """Return lines for liblxc, see lxc.container.conf(5)."""
    inodes = f",nr_inodes={spec.limits.inodes}" if spec.limits.inodes else ""
    lines = [
        f"lxc.init.cmd = {first_process()}",
        f"lxc.uts.name = {spec.hostname}",
        _tmpfs("run", "755", _RUN),
        _tmpfs("dev/shm", "1777", _SHARED),
    ]
    if not spec.sudo:
        lines.append("lxc.no_new_privs = 1")
    if spec.scratch == "tmpfs":
        lines += [
            _tmpfs(place, mode, shape.scratch, inodes)
            for place, mode in (("tmp", "1777"), (_home(spec), "755"))
        ]
    if shape.nic is not None:
        lines += [
            f"lxc.net.0.ipv4.address = {shape.nic.address}/{shape.nic.prefix}",
            f"lxc.net.0.ipv4.gateway = {shape.nic.gateway}",
        ]
    return lines


def _home(spec: TargetSpec) -> str:
    return (spec.home or f"/home/{spec.user}").lstrip("/")


def _processors(spec: TargetSpec) -> str:
    """Return how many processors a target may use, or which (ranges: one number is a count)."""
    named = spec.extras.get("processors", "")
    ranges = (f"{number}-{number}" for number in named.split(",") if number)
    return ",".join(ranges) or str(spec.limits.cpus or "")


def _tmpfs(place: str, mode: str, size: int, more: str = "") -> str:
    options = f"{_QUIET},mode={mode},size={size}{more},create=dir"
    return f"lxc.mount.entry = tmpfs {place} tmpfs {options} 0 0"


def gaps(spec: TargetSpec, shape: Shape) -> tuple[str, ...]:
    """Say which limits that were asked for do not hold."""
    result = []
    if spec.limits.disk is not None and not shape.pool.holds_quota:
        where = "outside /tmp and the home " if spec.scratch == "tmpfs" else ""
        result.append(f"disk: {where}unlimited (a {shape.pool.driver} pool holds no size)")
    if spec.scratch == "disk" and spec.limits.inodes is not None:
        result.append("inodes: unlimited")
    return tuple(result)


def facts(spec: TargetSpec, shape: Shape) -> dict[str, str]:
    """Say how the target will run."""
    limits = spec.limits
    quota = shape.pool.holds_quota and limits.disk is not None
    on_disk = str(limits.disk) if quota else "unlimited"
    memory = spec.scratch == "tmpfs"
    return {
        "backend": "lxd",
        "network": "none" if shape.nic is None else f"bridge {shape.nic.network}",
        "sudo": str(spec.sudo).lower(),
        "scratch": f"tmpfs (home, /tmp), {shape.pool.driver}" if memory else spec.scratch,
        "disk": f"{shape.scratch} (home, /tmp), {on_disk}" if memory else on_disk,
        "inodes": _said(limits.inodes) if memory else "unlimited",
        **_limits(limits),
    }


def _limits(limits: Limits) -> Mapping[str, str]:
    return {
        "memory": _said(limits.memory),
        "cpus": _said(limits.cpus),
        "processes": _said(limits.processes),
    }


def _said(value: int | None) -> str:
    return "unlimited" if value is None else str(value)


def body(
    name: str, source: Mapping[str, str], config: Mapping[str, str], its: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the request that makes an ephemeral container of no profile."""
    return {
        "name": name,
        "type": "container",
        "source": dict(source),
        "profiles": [],
        "ephemeral": True,
        "config": dict(config),
        "devices": dict(its),
    }


def base(
    name: str, source: Mapping[str, str], labelled: Mapping[str, str], pool: Pool
) -> dict[str, Any]:
    """Return the request that makes a base: kept when it stops, and it does nothing."""
    config = {
        **_CLOSED,
        **labelled,
        "security.devlxd": "false",
        "raw.lxc": f"lxc.init.cmd = {first_process()}\n{_tmpfs('run', '755', _RUN)}",
    }
    root = {"type": "disk", "path": "/", "pool": pool.name}
    return {**body(name, source, config, {"root": root}), "ephemeral": False}
