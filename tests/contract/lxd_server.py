"""A daemon of LXD or Incus on a private folder, bridge and pool, ended whatever happens."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import whole_host

PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
_PATIENCE = 60


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """What differs between the two.

    Attributes:
        daemon: its program.
        client: the program that people use.
        admin: the words that initialise a daemon and end it.
        trust: the client's word that adds a certificate.
        variables: how the names of their variables begin.
        environment: what their programs need beyond the plain one.
    """

    daemon: str
    client: str
    admin: tuple[str, ...]
    trust: str
    variables: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def places(self, folder: Path) -> dict[str, str]:
        """Return the environment of a program whose daemon lies in ``folder``."""
        named = {f"{self.variables}_DIR": str(folder), f"{self.variables}_CONF": f"{folder}/conf"}
        return {**PLAIN, **self.environment, **named}


LXD = Flavour(daemon="lxd", client="lxc", admin=("lxd",), trust="add", variables="LXD")
INCUS = Flavour(
    daemon="/usr/libexec/incus/incusd",
    client="incus",
    admin=("incus", "admin"),
    trust="add-certificate",
    variables="INCUS",
)


@dataclass(kw_only=True)
class Server:
    """A running daemon: what it is, its folder (LXD_DIR), its process, its bridge."""

    flavour: Flavour
    folder: Path
    process: subprocess.Popen[bytes]
    bridge: str

    @property
    def variables(self) -> dict[str, str]:
        """What tells a client where it is."""
        return {f"{self.flavour.variables}_DIR": str(self.folder)}

    @property
    def socket(self) -> Path:
        return self.folder / "unix.socket"

    def lxc(self, *words: str) -> str:
        """Run the daemon's own client."""
        env = self.flavour.places(self.folder)
        argv = (self.flavour.client, *words)
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def crash(self) -> None:
        """Kill the daemon; what it runs goes on."""
        self.process.kill()
        self.process.wait()

    def revive(self) -> None:
        """Start the daemon again."""
        self.process = _launched(self.flavour, self.folder)

    def instances(self) -> list[str]:
        """Return the names of all instances."""
        return [str(one["name"]) for one in json.loads(self.lxc("list", "--format=json"))]


@contextmanager
def running(driver: str = "btrfs", flavour: Flavour = LXD) -> Iterator[Server]:
    """Start a daemon with one pool of ``driver`` and one managed bridge."""
    whole_host.needed()
    folder = Path(tempfile.mkdtemp(prefix="gbl", dir="/var/tmp"))  # sockets have short names
    bridge = f"gbl{secrets.token_hex(3)}"
    (folder / "conf").mkdir()
    env = flavour.places(folder)
    server = Server(
        flavour=flavour, folder=folder, process=_launched(flavour, folder), bridge=bridge
    )
    try:
        seed = json.dumps(_seed(driver, bridge)).encode()
        subprocess.run(
            (*flavour.admin, "init", "--preseed"),
            env=env,
            input=seed,
            check=True,
            capture_output=True,
        )
        yield server
    finally:
        _end(server, env)


def _launched(flavour: Flavour, folder: Path) -> subprocess.Popen[bytes]:
    """Start a daemon; returns when it answers."""
    env = flavour.places(folder)
    with (folder / "out").open("ab") as out:
        process = subprocess.Popen(
            (flavour.daemon, "--group", "root", f"--logfile={folder}/log"),
            env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    waitready = (flavour.daemon, "waitready", f"--timeout={_PATIENCE}")
    try:
        subprocess.run(waitready, env=env, check=True)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


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
            (*server.flavour.admin, "shutdown", "--timeout=30"),
            env=env,
            check=False,
            capture_output=True,
        )
    try:
        server.process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
    _end_dnsmasq(server.folder)
    _try("ip", "link", "delete", server.bridge)
    _remove_empty_table(server.flavour.daemon.rpartition("/")[2])
    for mount in sorted(mounts(server.folder), key=len, reverse=True):
        _try("umount", "-l", mount)
    shutil.rmtree(server.folder)


def _try(*argv: str) -> None:
    subprocess.run(argv, check=False, capture_output=True)


def _remove_empty_table(name: str) -> None:
    """A daemon leaves its table of nftables, even when nothing is in it any more."""
    for table in (f"inet {name}", f"inet {name.removesuffix('d')}"):
        rules = subprocess.run(
            ("nft", "list", "table", *table.split()), check=False, capture_output=True, text=True
        ).stdout
        if rules and "chain" not in rules:
            _try("nft", "delete", "table", *table.split())


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
