"""A cluster of LXD: every member is a daemon in networks, mounts and processes of its own.

A member that ends takes all it ran with it, as a machine does whose cable is pulled.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import whole_host
from .lxd_server import PLAIN, mounts

_PATIENCE = 120
_MEMBER = """
set -e
mkdir "$1/cgroup"
mount --rbind /sys/fs/cgroup "$1/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$1/cgroup" /sys/fs/cgroup
umount -l "$1/cgroup"
ip link set lo up
lxd --group root --logfile="$1/log" &
wait
"""
"""The first process of a member: with the /sys of its own network, which LXD looks into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A running member: its name, its folder (LXD_DIR), its address, its first process."""

    name: str
    folder: Path
    address: str
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        return {**PLAIN, "LXD_DIR": str(self.folder), "LXD_CONF": str(self.folder / "conf")}

    def lxc(self, *words: str) -> str:
        """Run the daemon's own client."""
        return _run(("lxc", *words), self.environment)

    def listing(self) -> list[Mapping[str, object]]:
        """Return the instances of the whole cluster."""
        found: list[Mapping[str, object]] = json.loads(self.lxc("list", "--format=json"))
        return found

    def wait_until_offline(self, name: str) -> None:
        """Return when this member knows that another one is gone."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            found = json.loads(self.lxc("query", f"/1.0/cluster/members/{name}"))
            if found["status"] == "Offline":
                return
            time.sleep(0.5)
        raise AssertionError(f"{name} is still online")

    def end(self) -> None:
        """Pull the plug."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Two members; targets are to have names that begin with ``word``."""

    word: str
    first: Member
    second: Member


@contextmanager
def running() -> Iterator[Cluster]:
    """Start a cluster of two members, each with a btrfs pool, on a bridge of their own."""
    whole_host.needed()
    word = f"gbc{secrets.token_hex(3)}"
    prefix = f"198.19.{secrets.randbelow(250)}"  # RFC 2544: no real network
    with ExitStack() as stack:
        stack.callback(_remove_groups, f"lxc.*.gbuild-{word}*")
        _run(("ip", "link", "add", word, "type", "bridge"))
        stack.callback(_run, ("ip", "link", "delete", word))
        _run(("ip", "addr", "add", f"{prefix}.254/24", "dev", word))
        _run(("ip", "link", "set", word, "up"))
        first, second = (
            stack.enter_context(_member(f"m{n}", f"{prefix}.{n}", word)) for n in (1, 2)
        )
        _init(first, _seed(first))
        # Members say every 10 seconds that they live; after one has died, up to 6 seconds late.
        first.lxc("config", "set", "cluster.offline_threshold", "20")
        token = first.lxc("cluster", "add", second.name, "--quiet").split()[-1]
        _init(second, _joining(second, token))
        yield Cluster(word=word, first=first, second=second)


@contextmanager
def _member(name: str, address: str, bridge: str) -> Iterator[Member]:
    folder = Path(tempfile.mkdtemp(prefix="gbl", dir="/var/tmp"))  # sockets have short names
    (folder / "conf").mkdir()
    alone = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    words = ("unshare", *alone, "sh", "-c", _MEMBER, "sh", str(folder))
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            words, env={**PLAIN, "LXD_DIR": str(folder)}, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    member = Member(name=name, folder=folder, address=address, process=process)
    try:
        _run(("lxd", "waitready", f"--timeout={_PATIENCE}"), member.environment)
        _plug(member, bridge)
        yield member
    finally:
        _end(member)
        subprocess.run(  # the kernel does it too, a moment later
            ("ip", "link", "delete", _cable(member, bridge)), check=False, capture_output=True
        )


def _plug(member: Member, bridge: str) -> None:
    """Lay a cable from the bridge into the member's network."""
    inside = Path(f"/proc/{member.process.pid}/task/{member.process.pid}/children").read_text()
    pid = inside.split()[0]
    near = _cable(member, bridge)
    enter = ("nsenter", "-t", pid, "-n", "ip")
    _run(("ip", "link", "add", near, "type", "veth", "peer", "eth0", "netns", pid))
    _run(("ip", "link", "set", near, "master", bridge, "up"))
    _run((*enter, "addr", "add", f"{member.address}/24", "dev", "eth0"))
    _run((*enter, "link", "set", "eth0", "up"))


def _cable(member: Member, bridge: str) -> str:
    return f"{bridge}{member.name}"


def _remove_groups(pattern: str) -> None:
    """Remove the control groups of containers whose member was ended."""
    for top in Path("/sys/fs/cgroup").rglob(pattern):
        for place, _, _ in os.walk(top, topdown=False):
            Path(place).rmdir()


def _init(member: Member, seed: object) -> None:
    _run(("lxd", "init", "--preseed"), member.environment, stdin=json.dumps(seed).encode())


def _seed(member: Member) -> object:
    root = {"path": "/", "pool": "default", "type": "disk"}
    return {
        "config": {"core.https_address": f"{member.address}:8443"},
        "cluster": {"server_name": member.name, "enabled": True},
        "storage_pools": [{"name": "default", "driver": "btrfs", "config": {"size": "2GiB"}}],
        "profiles": [{"name": "default", "devices": {"root": root}}],
    }


def _joining(member: Member, token: str) -> object:
    pool = {"entity": "storage-pool", "name": "default"}
    return {
        "cluster": {
            "enabled": True,
            "server_name": member.name,
            "server_address": f"{member.address}:8443",
            "cluster_token": token,
            "member_config": [
                {**pool, "key": "source", "value": ""},
                {**pool, "key": "size", "value": "2GiB"},
            ],
        }
    }


def _end(member: Member) -> None:
    """End a member as it is, and take back what it made on this host."""
    if member.process.poll() is None:
        argv = ("lxd", "shutdown", "--timeout=20")
        subprocess.run(argv, env=member.environment, check=False, capture_output=True, timeout=60)
    member.end()
    for mount in sorted(mounts(member.folder), key=len, reverse=True):
        _run(("umount", "-l", mount))
    shutil.rmtree(member.folder)


def _run(
    argv: tuple[str, ...], environment: Mapping[str, str] = PLAIN, *, stdin: bytes = b""
) -> str:
    done = subprocess.run(
        argv, env=environment, input=stdin, check=False, capture_output=True, timeout=_PATIENCE
    )
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.decode()
