"""A machine that is this host: `sshd -i` on one end of a socket pair, with throw-away keys."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gbuild.target.backend import Machine

SSHD = Path("/usr/sbin/sshd")
PRIVILEGE_SEPARATION = Path("/run/sshd")


class LocalMachine(Machine):
    """Answers SSH as this host does for the present user; nothing is isolated."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.name = "local"
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.facts = {}
        self._folder = folder
        self._servers: list[subprocess.Popen[bytes]] = []
        self._ended = False
        for key in ("host", "client"):
            quiet = ["-q", "-t", "ed25519", "-N", "", "-C", ""]
            subprocess.run(["ssh-keygen", *quiet, "-f", folder / key], check=True)
        self.host_key = (folder / "host.pub").read_text().strip()
        self.client_key = (folder / "client").read_text()
        self._options = [f"-o{option}" for option in (*self._basic_options(), *options)]

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs, (self._folder / "sshd.log").open("ab") as log:
            self._servers.append(
                subprocess.Popen(
                    [str(SSHD), "-i", "-e", "-f", "/dev/null", *self._options],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=log,
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                    start_new_session=True,  # an ordinary user's is served by a child
                )
            )
        return ours

    def cut_network(self) -> None:
        raise NotImplementedError

    def alive(self) -> bool:
        return not self._ended

    def stop(self) -> None:
        self._ended = True
        self.kill_servers()

    def kill_servers(self) -> None:
        """End what serves the connections; new ones can be made."""
        while self._servers:
            server = self._servers.pop()
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()

    def freeze(self) -> None:
        """Stop the servers without ending them: they answer nothing any more."""
        for server in self._servers:
            os.killpg(server.pid, signal.SIGSTOP)

    def _basic_options(self) -> tuple[str, ...]:
        return (
            f"HostKey={self._folder / 'host'}",
            f"AuthorizedKeysFile={self._folder / 'client.pub'}",
            "UsePAM=no",
            "StrictModes=no",
            "PasswordAuthentication=no",
            "PermitRootLogin=prohibit-password",
            "PidFile=none",
            "PrintMotd=no",
            "PrintLastLog=no",
            "UseDNS=no",
            "LogLevel=ERROR",
            "SetEnv=SHLVL=1",  # bash then leaves the person's ~/.bashrc, which may be slow, alone
        )


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[..., LocalMachine]]:
    """Return a function that starts such a machine with more sshd options."""
    if not SSHD.exists():
        pytest.skip("openssh-server is not installed")
    if os.getuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)  # stays: others may be using it
    machines: list[LocalMachine] = []

    def make(*options: str) -> LocalMachine:
        folder = tmp_path / f"machine{len(machines)}"
        folder.mkdir(mode=0o755)
        machines.append(LocalMachine(folder, *options))
        return machines[-1]

    yield make
    for machine in machines:
        machine.stop()


@pytest.fixture
def machine(make_machine: Callable[..., LocalMachine]) -> LocalMachine:
    return make_machine()
