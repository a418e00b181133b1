"""A network of one target: a bridge, a cable (veth) into the target, address translation.

What of it is this host's, by its name::

    gbb<token>          the bridge, an interface; everything else here goes when the last one goes
    gbv<token>          the cable's end at the bridge
    table inet gbuild_lxc   of nftables: rules for the bridges in its set ``bridges``, and in
                        ``forwarding`` the interfaces whose forwarding was off before the first

A target reaches what this host reaches by IPv4, but not this host: neither its loopback nor its
other addresses, no other target, no link-local address (where clouds keep their credentials).
Rules of other programs stay in force: where a firewall drops what is forwarded, it stays dropped.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gbuild.errors import BackendFailure, HostFailure
from gbuild.host.process import Completed, run, which
from gbuild.host.uplink import interfaces

TABLE = "gbuild_lxc"
_PREFIX, _CABLE = "gbb", "gbv"
_OURS = re.compile(rf"(?:{_PREFIX}|{_CABLE})[0-9a-f]{{8}}\Z")
"""Others' interfaces may begin alike."""

_POOL = ipaddress.IPv4Network("10.213.0.0/16")
"""Each target takes four addresses of it; routes that others have in it are respected."""

_ATTEMPTS = 100
_SETTINGS = Path("/proc/sys/net/ipv4")
_LOCK = "/run"

_RULES = f"""\
table inet {TABLE} {{
  set bridges {{ type ifname; }}
  set forwarding {{ type ifname; }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname @bridges drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifname @bridges ip saddr != {_POOL} drop
    iifname @bridges meta nfproto ipv6 drop
    iifname @bridges ip daddr {{ 127.0.0.0/8, 169.254.0.0/16 }} drop
    iifname @bridges oifname @bridges drop
    oifname @bridges ct state established,related accept
    oifname @bridges drop
    iifname @forwarding oifname @forwarding drop
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {_POOL} oifname != @bridges masquerade
  }}
}}
"""


def name_of(token: str) -> str:
    """Return the name of a target's bridge."""
    return f"{_PREFIX}{token}"


def is_ours(interface: str) -> bool:
    """Say whether an interface of this host is a bridge of ours, or a cable's end at one."""
    return _OURS.match(interface) is not None


class Bridge:
    """The network of a target that runs; see :class:`~gbuild.target.contained.Link`."""

    def __init__(self, token: str, pid: int) -> None:
        """Connect the network namespace of ``pid``.

        Raises:
            MissingTool: ip, nsenter or nft is not installed.
            HostFailure: one of them failed, or no addresses are free.
        """
        self._pid = pid
        self._name = name_of(token)
        with _alone():
            _forward()
            _nft("add", "element", *_member(self._name))  # the rules hold before it is there
            near, far = _free_addresses()
            _ip(
                f"link add {self._name} type bridge",
                f"addr add {near} dev {self._name}",
                f"link add {_CABLE}{token} type veth peer name eth0 netns {pid}",
                f"link set {_CABLE}{token} master {self._name}",
            )
            _without_ipv6(self._name, f"{_CABLE}{token}")
            _ip(f"link set {_CABLE}{token} up", f"link set {self._name} up")
        _ip(
            f"addr add {far} dev eth0",
            "link set eth0 up",
            f"route add default via {near.ip}",
            inside=pid,
        )

    def cut(self) -> None:
        """Take bridge and cable away; a second call does nothing more.

        Raises:
            BackendFailure: an interface other than the loopback is still there.
        """
        self.stop()
        if left := interfaces(self._pid) - {"lo"}:
            raise BackendFailure(f"the target still has a network: {', '.join(sorted(left))}")

    def stop(self) -> None:
        """Take bridge and cable away without looking."""
        remove((self._name,))


def remove(names: Iterable[str]) -> tuple[str, ...]:
    """Remove bridges of ours; with the last one of this host go rules and forwarding."""
    wanted = {name for name in names if name.startswith(_PREFIX) and is_ours(name)}
    if not wanted:
        return ()
    cables = {f"{_CABLE}{name.removeprefix(_PREFIX)}" for name in wanted}
    with _alone():
        found = _interfaces() & wanted
        _delete(*(_interfaces() & cables), *found)
        for name in wanted:
            _nft("delete", "element", *_member(name), check=False)  # it may have none
        if not any(is_ours(name) for name in _interfaces()):
            _stop_forwarding()
    return tuple(f"bridge {name}" for name in sorted(found))


def _delete(*names: str) -> None:
    """Delete interfaces; the kernel deletes a cable itself when the target at its end is gone.

    Raises:
        HostFailure: one is still there.
    """
    if not names:
        return
    lines = "".join(f"link del {name}\n" for name in names)
    ip = which("ip", package="iproute2")
    done = run((ip, "-force", "-batch", "-"), stdin=lines.encode(), check=False)
    if left := _interfaces().intersection(names):
        raise HostFailure(
            f"the interfaces {', '.join(sorted(left))} could not be removed",
            details=tuple(done.stderr.decode(errors="replace").splitlines()[-5:]),
            hint="sudo ip link del NAME",
        )


def _interfaces() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def _free_addresses() -> tuple[ipaddress.IPv4Interface, ipaddress.IPv4Interface]:
    """Choose four addresses to which no route of this host leads; return the middle two.

    Raises:
        HostFailure: there are none.
    """
    routes = json.loads(run((which("ip", package="iproute2"), "-j", "route", "show")).stdout)
    taken = [ipaddress.IPv4Network(r["dst"]) for r in routes if r["dst"] != "default"]
    for _ in range(_ATTEMPTS):
        first = int(_POOL.network_address) + 4 * secrets.randbelow(_POOL.num_addresses // 4)
        network = ipaddress.IPv4Network((first, 30))
        if not any(network.overlaps(other) for other in taken):
            near, far = network.hosts()
            return ipaddress.IPv4Interface(f"{near}/30"), ipaddress.IPv4Interface(f"{far}/30")
    raise HostFailure(
        f"this host has routes to all of {_POOL}: no addresses are left for targets",
        hint="--backend-option network=pasta",
    )


def _forward() -> None:
    """Load the rules and turn forwarding on, unless that was done for another target."""
    if _nft("list", "set", "inet", TABLE, "bridges", check=False).returncode == 0:
        return
    off = _not_forwarding()
    names = ", ".join(f'"{name}"' for name in off)
    added = f"add element inet {TABLE} forwarding {{ {names} }}\n" if off else ""
    _nft("-f", "-", stdin=f"{_RULES}{added}".encode())
    for name in off:
        _set(_SETTINGS / f"conf/{name}/forwarding", "1")


def _not_forwarding() -> list[str]:
    """Return the interfaces that drop what is not for this host."""
    ignored = ("all", "default", "lo")
    names = [name for name in os.listdir(_SETTINGS / "conf") if name not in ignored]
    return [
        name
        for name in names
        if not is_ours(name) and _get(_SETTINGS / f"conf/{name}/forwarding") == "0"
    ]


def _stop_forwarding() -> None:
    """Undo :func:`_forward`; what somebody else has turned on meanwhile stays on."""
    listed = _nft("-j", "list", "set", "inet", TABLE, "forwarding", check=False)
    if listed.returncode != 0:
        return
    if _get(_SETTINGS / "ip_forward") == "0":
        for name in _elements(json.loads(listed.stdout)):
            _set(_SETTINGS / f"conf/{name}/forwarding", "0")
    _nft("delete", "table", "inet", TABLE)


def _member(name: str) -> tuple[str, ...]:
    """Return the words for a bridge in the set of those that the rules are about."""
    return ("inet", TABLE, "bridges", "{", f'"{name}"', "}")


def _nft(*words: str, stdin: bytes = b"", check: bool = True) -> Completed:
    return run((which("nft", package="nftables"), *words), stdin=stdin, check=check)


def _elements(listed: dict[str, list[dict[str, dict[str, list[str]]]]]) -> list[str]:
    sets = (item["set"] for item in listed["nftables"] if "set" in item)
    return [name for one in sets for name in one.get("elem", [])]


def _without_ipv6(*names: str) -> None:
    for name in names:
        _set(Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1")


def _get(setting: Path) -> str:
    """Read a setting; nothing of an interface that has gone meanwhile."""
    try:
        return setting.read_text().strip()
    except FileNotFoundError:
        return ""


def _set(setting: Path, value: str) -> None:
    """Write a setting unless its interface has gone meanwhile, or this kernel has none such."""
    try:
        with suppress(FileNotFoundError):
            setting.write_text(f"{value}\n")
    except OSError as error:
        raise HostFailure(
            f"the network's setting {setting} cannot be changed: {error.strerror}",
            hint="in a container it is read-only: there --backend userns makes networks by pasta",
        ) from error


def _ip(*lines: str, inside: int | None = None) -> None:
    """Run ip's commands, in the network namespace of a process if given."""
    ip = str(which("ip", package="iproute2"))
    enter = ("nsenter", f"--net=/proc/{inside}/ns/net") if inside is not None else ()
    run((*enter, ip, "-batch", "-"), stdin="".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes of ours from changing the network meanwhile."""
    descriptor = os.open(_LOCK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
