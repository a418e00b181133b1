"""A libvirt daemon on private folders, in a mount namespace of its own, ended whatever happens.

Folders of this host that are missing are made, empty, to mount the private ones on, and stay: to
remove one would take it away from another daemon that has just mounted there, too. The daemon
looks up the user that libvirt-daemon-system makes before it reads its configuration, and ends
where there is none.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACES = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}
_START = """
set -e
for name in etc run lib cache log; do
    mount --bind "$1/$name" "$(cat "$1/$name.place")"
done
if ! getent passwd libvirt-qemu > /dev/null; then
    { cat /etc/passwd; echo "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin"; } > "$1/passwd"
    { cat /etc/group; echo "libvirt-qemu:x:64055:"; } > "$1/group"
    mount --bind "$1/passwd" /etc/passwd
    mount --bind "$1/group" /etc/group
fi
exec libvirtd --pid-file "$1/pid" --config "$1/etc/libvirtd.conf"
"""
_QEMU = """
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
"""
_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
_PATIENCE = 120


class Daemon:
    """A daemon over one folder; it can be started again there after its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "run" / "libvirt-sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"qemu:///system?socket={self._socket}"

    @property
    def inside(self) -> tuple[str, ...]:
        """Words before a command that is to find it where a host's own daemon would be."""
        assert self._process is not None
        return ("nsenter", "--mount", "--target", str(self._process.pid), "--")

    def start(self) -> None:
        """Start it; returns when it listens."""
        self._socket.unlink(missing_ok=True)
        words = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _START, "sh")
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                (*words, self._folder), env=_PLAIN, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while not self._socket.exists():
            assert self._process.poll() is None, (self._folder / "out").read_text()
            assert time.monotonic() < until, "libvirtd does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        """Let it die in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def started() -> Iterator[Daemon]:
    """Start a daemon. Needs root."""
    folder = Path(tempfile.mkdtemp(prefix="gbv", dir="/var/tmp"))  # sockets have short names
    folder.chmod(0o755)
    for name, place in _PLACES.items():
        (folder / name).mkdir(mode=0o755)
        (folder / f"{name}.place").write_text(place)
        Path(place).mkdir(parents=True, exist_ok=True)
    (folder / "etc" / "qemu.conf").write_text(_QEMU)
    (folder / "etc" / "libvirtd.conf").write_text('auth_unix_rw = "none"\n')
    daemon = Daemon(folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(folder)


@contextmanager
def running() -> Iterator[str]:
    """Start a daemon; yields its address. Needs root."""
    with started() as daemon:
        yield daemon.uri
