"""A daemon of LXD on a private folder, bridge and pool, ended whatever happens."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
_PATIENCE = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running daemon: its folder (LXD_DIR), its process, its bridge."""

    folder: Path
    process: subprocess.Popen[bytes]
    bridge: str

    @property
    def socket(self) -> Path:
        return self.folder / "unix.socket"

    def lxc(self, *words: str) -> str:
        """Run the daemon's own client."""
        env = {**PLAIN, "LXD_DIR": str(self.folder), "LXD_CONF": str(self.folder / "conf")}
        argv = ("lxc", *words)
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def instances(self) -> list[str]:
        """Return the names of all instances."""
        return [str(one["name"]) for one in json.loads(self.lxc("list", "--format=json"))]


@contextmanager
def running(driver: str = "btrfs") -> Iterator[Server]:
    """Start a daemon with one pool of ``driver`` and one managed bridge."""
    folder = Path(tempfile.mkdtemp(prefix="gbl", dir="/var/tmp"))  # sockets have short names
    bridge = f"gbl{secrets.token_hex(3)}"
    (folder / "conf").mkdir()
    env = {**PLAIN, "LXD_DIR": str(folder)}
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            ("lxd", "--group", "root", f"--logfile={folder}/log"),
            env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    server = Server(folder=folder, process=process, bridge=bridge)
    try:
        subprocess.run(("lxd", "waitready", f"--timeout={_PATIENCE}"), env=env, check=True)
        seed = json.dumps(_seed(driver, bridge)).encode()
        subprocess.run(
            ("lxd", "init", "--preseed"), env=env, input=seed, check=True, capture_output=True
        )
        yield server
    finally:
        _end(server, env)


def _seed(driver: str, bridge: str) -> object:
    config = {} if driver == "dir" else {"size": "4GiB"}
    pool = {"name": "default", "driver": driver, "config": config}
    network = {
        "ipv4.address": f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}.1/24",
        "ipv4.nat": "true",
        "ipv6.address": "none",
    }
    root = {"path": "/", "pool": "default", "type": "disk"}
    nic = {"name": "eth0", "network": bridge, "type": "nic"}
    return {
        "networks": [{"name": bridge, "type": "bridge", "config": network}],
        "storage_pools": [pool],
        "profiles": [{"name": "default", "devices": {"root": root, "eth0": nic}}],
    }


def _end(server: Server, env: dict[str, str]) -> None:
    """Stop the daemon with all it runs, and take back what it made on this host."""
    if server.process.poll() is None:
        subprocess.run(
            ("lxd", "shutdown", "--timeout=30"), env=env, check=False, capture_output=True
        )
    try:
        server.process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
    _end_dnsmasq(server.folder)
    _try("ip", "link", "delete", server.bridge)
    for mount in sorted(mounts(server.folder), key=len, reverse=True):
        _try("umount", "-l", mount)
    shutil.rmtree(server.folder)


def _try(*argv: str) -> None:
    subprocess.run(argv, check=False, capture_output=True)


def _end_dnsmasq(folder: Path) -> None:
    """A daemon that was killed leaves its name server behind."""
    for note in folder.glob("networks/*/dnsmasq.pid"):
        pid = note.read_text().partition("pid:")[2].split()[0]
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if str(folder).encode() in words:
            os.kill(int(pid), 15)
            time.sleep(0.2)


def mounts(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(f"{folder}/")]
