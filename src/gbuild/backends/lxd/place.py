"""Where on a server targets go: storage pool, network, an address on it."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gbuild.backends.lxd.daemon import Daemon
from gbuild.errors import BackendFailure

_COPY_ON_WRITE = frozenset(("btrfs", "zfs", "ceph", "lvm"))
_QUOTA = frozenset(("btrfs", "zfs", "ceph", "lvm"))
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A storage pool."""

    name: str
    driver: str

    @property
    def copies_on_write(self) -> bool:
        """Whether a copy of an instance shares its blocks."""
        return self.driver in _COPY_ON_WRITE

    @property
    def holds_quota(self) -> bool:
        """Whether the size of a root disk can be limited."""
        return self.driver in _QUOTA


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A target's place on a managed bridge, which is its gateway and name server too."""

    network: str
    address: str
    prefix: int
    gateway: str


def pool(daemon: Daemon, options: Mapping[str, str]) -> Pool:
    """Return the pool of the options, or of the profile's root disk, or the only one.

    Raises:
        BackendFailure: there is none, or several and none was chosen.
    """
    name = options.get("pool") or _of_profile(daemon, options, "disk", "pool")
    if not name:
        name = _only(daemon, "storage-pools", "storage pool", "pool")
    found = daemon.get("storage-pools", name, doing=f"look at the storage pool {name}")
    return Pool(name=str(found["name"]), driver=str(found["driver"]))


def member(daemon: Daemon, options: Mapping[str, str]) -> str:
    """Return the member of a cluster that is to run targets; nothing leaves it to the cluster.

    Raises:
        BackendFailure: it is no cluster, there is no such member, or it is out of reach.
    """
    name = options.get("target", "")
    if not name:
        return ""
    if not daemon.clustered:
        raise BackendFailure(
            f"{daemon.label} is no cluster: it has no member {name}",
            hint="leave the option target out",
        )
    found = daemon.get("cluster", "members", name, doing=f"look at the cluster member {name}")
    if found.get("status") != "Online":
        raise BackendFailure(
            f"the member {name} of the cluster at {daemon.label} is {found.get('status')}",
            details=(str(found.get("message", "")),),
            hint=daemon.hint_for("is offline"),
        )
    return name


def network(daemon: Daemon, options: Mapping[str, str]) -> str:
    """Return the managed bridge of the options, or of the profile, or the only one.

    Raises:
        BackendFailure: there is none, or several and none was chosen.
    """
    if name := options.get("network") or _of_profile(daemon, options, "nic", "network"):
        return name
    bridges = [
        str(one["name"])
        for one in daemon.get("networks", recursion=1, doing="list networks")
        if one.get("managed") and one.get("type") == "bridge"
    ]
    if len(bridges) != 1:
        raise BackendFailure(
            f"{daemon.label} has {len(bridges) or 'no'} managed bridges, and none was chosen",
            details=tuple(bridges),
            hint=daemon.spoken("--backend-option network=NAME (lxc network create makes one)"),
        )
    return bridges[0]


def nic(daemon: Daemon, name: str) -> Nic:
    """Choose an address on a bridge that nobody has.

    Raises:
        BackendFailure: the bridge has no IPv4 network, or no address is free.
    """
    doing = f"look at the network {name}"
    found = daemon.get("networks", name, doing=doing)
    bridge = str((found.get("config") or {}).get("ipv4.address", "none"))
    if not found.get("managed") or "/" not in bridge:
        raise BackendFailure(
            f"the network {name} gives targets no IPv4 address",
            hint=daemon.spoken(
                f"lxc network set {name} ipv4.address auto, or --backend-option network=NAME"
            ),
        )
    gateway = ipaddress.ip_interface(bridge)
    leases = daemon.get("networks", name, "leases", doing=doing) or ()
    taken = {str(lease.get("address", "")) for lease in leases} | {str(gateway.ip)}
    return Nic(
        network=name,
        address=_free(gateway.network, taken),
        prefix=gateway.network.prefixlen,
        gateway=str(gateway.ip),
    )


def _free(net: Any, taken: set[str]) -> str:  # noqa: ANN401 - IPv4Network or IPv6Network
    """Return one by chance, so that targets that start together seldom choose the same."""
    for _ in range(_ATTEMPTS):
        chosen = str(net[1 + secrets.randbelow(max(1, net.num_addresses - 2))])
        if chosen not in taken:
            return chosen
    raise BackendFailure(f"no address of {net} is free")


def _of_profile(daemon: Daemon, options: Mapping[str, str], kind: str, key: str) -> str:
    """Return a word of the profile's first device of a kind; nothing else of it is used."""
    name = options.get("profile", "default")
    profile = daemon.get("profiles", name, doing=f"look at the profile {name}")
    devices = (profile.get("devices") or {}).values()
    words = (device.get(key, "") for device in devices if device.get("type") == kind)
    return next((str(word) for word in words if word), "")


def _only(daemon: Daemon, path: str, what: str, option: str) -> str:
    names = [str(one["name"]) for one in daemon.get(path, recursion=1, doing=f"list {what}s")]
    if len(names) != 1:
        raise BackendFailure(
            f"{daemon.label} has {len(names) or 'no'} {what}s, and none was chosen",
            details=tuple(names),
            hint=daemon.spoken(f"--backend-option {option}=NAME (sudo lxd init makes one)"),
        )
    return names[0]
