"""An SSH server of the test's own on the loopback, with throw-away keys: "another host".

It may run in the mount namespace of a libvirt daemon, so that whoever logs in finds that daemon
where libvirt looks for it. What OpenSSH would read of this host's person (keys, known hosts, agent)
is kept from the client by a program of its own, which libvirt's addresses can name.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from tests.ports import free_port

SSHD = Path("/usr/sbin/sshd")
_PATIENCE = 60.0
_TRIES = 3
_SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
{more}
"""
_CLIENT = """
UserKnownHostsFile {folder}/known
GlobalKnownHostsFile /dev/null
IdentityAgent none
IdentitiesOnly yes
KexAlgorithms ^curve25519-sha256,curve25519-sha256@libssh.org
"""
_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class Server:
    """A running server; ``inside`` are the words that enter another host's namespaces."""

    def __init__(self, folder: Path, inside: Sequence[str], more: str) -> None:
        self.folder = folder
        self.port = 0
        self._inside = tuple(inside)
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host", "key", "stranger"):
            new_key(folder / name)
        self.program = folder / "ssh"
        self.program.write_text(f'#!/bin/sh\nexec ssh -F "{folder}/client" "$@"\n')
        self.program.chmod(0o755)
        (folder / "client").write_text(_CLIENT.format(folder=folder))

    def uri(self, path: str = "system", *, user: str = "root", key: str = "key") -> str:
        """Return libvirt's address by way of this server."""
        words = f"keyfile={quote(str(self.folder / key))}&command={quote(str(self.program))}"
        return f"qemu+ssh://{user}@127.0.0.1:{self.port}/{path}?{words}"

    def know(self, name: str = "host") -> None:
        """Let the client know the server's key, or another instead."""
        key = (self.folder / f"{name}.pub").read_text()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {key}")

    def start(self) -> None:
        """Start it; returns when it listens. A port that somebody took meanwhile is given up."""
        Path("/run/sshd").mkdir(exist_ok=True, mode=0o755)
        for _ in range(_TRIES):
            self.port = free_port()
            text = _SERVER.format(port=self.port, folder=self.folder, more=self._more)
            (self.folder / "server").write_text(text)
            if self._listens():
                self.know()
                return
        raise AssertionError((self.folder / "log").read_text())

    def drop(self) -> None:
        """End every connection; returns when they have ended, and new ones can be made."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in children.read_text().split():
            with suppress(ProcessLookupError):
                _end(int(pid))

    def stop(self) -> None:
        """End it, and every connection."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)  # nobody new is let in
            self.drop()
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        words = (*self._inside, str(SSHD), "-D", "-e", "-f", str(self.folder / "server"))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                words, env=_PLAIN, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self._process.poll() is None
        return False


def _end(pid: int) -> None:
    """Kill a process; returns when it does nothing more, reaped or not."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        ended = select.poll()
        ended.register(process, select.POLLIN)
        ended.poll()
    finally:
        os.close(process)


def new_key(path: Path) -> None:
    """Make a key pair at ``path`` and ``path``.pub."""
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
    subprocess.run(words, check=True)


@contextmanager
def running(inside: Sequence[str] = (), *, more: str = "") -> Iterator[Server]:
    """Start one. Needs root; ``more`` are further lines of its configuration."""
    folder = Path(tempfile.mkdtemp(prefix="gbs", dir="/var/tmp"))
    folder.chmod(0o755)
    server = Server(folder, inside, more)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
