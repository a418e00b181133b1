"""A libvirt daemon on private folders, in a mount namespace of its own, ended whatever happens."""

from __future__ import annotations

import os
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
_PATIENCE = 60


@contextmanager
def running() -> Iterator[str]:
    """Start a daemon; yields its address. Needs root."""
    folder = Path(tempfile.mkdtemp(prefix="gbv", dir="/var/tmp"))  # sockets have short names
    folder.chmod(0o755)
    made = [place for name, place in _PLACES.items() if _prepare(folder, name, Path(place))]
    (folder / "etc" / "qemu.conf").write_text(_QEMU)
    (folder / "etc" / "libvirtd.conf").write_text('auth_unix_rw = "none"\n')
    words = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _START, "sh", folder)
    with (folder / "out").open("wb") as out:
        daemon = subprocess.Popen(
            words, env=_PLAIN, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        _await(folder / "run" / "libvirt-sock", daemon)
        yield f"qemu:///system?socket={folder}/run/libvirt-sock"
    finally:
        daemon.terminate()
        try:
            daemon.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        for place in made:
            os.rmdir(place)
        shutil.rmtree(folder)


def _prepare(folder: Path, name: str, place: Path) -> bool:
    """Make one private folder; say whether its place on this host had to be made, too."""
    (folder / name).mkdir(mode=0o755)
    (folder / f"{name}.place").write_text(str(place))
    if place.exists():
        return False
    place.mkdir()
    return True


def _await(path: Path, daemon: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while not path.exists():
        assert daemon.poll() is None, (path.parents[1] / "out").read_text()
        assert time.monotonic() < until, "libvirtd does not listen"
        time.sleep(0.02)
