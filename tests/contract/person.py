"""A throw-away ordinary user with subordinate ids, for tests of what people do without root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_TUN = "/dev/net/tun"
_HOLD = f"""
set -e
mount --make-rshared /
if [ -e {_TUN} ]; then
    mkdir -p -m 755 "$1"
    mount -t tmpfs -o mode=755 private "$1"
    mknod -m 666 "$1/tun" c 10 200
    mount --bind "$1/tun" {_TUN}
fi
echo ready
exec cat
"""
"""Holds a mount namespace: shared, as podman wants it, with a tunnel device for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An ordinary user of this host; its programs run in a mount namespace of their own."""

    name: str
    uid: int
    home: Path
    holder: int

    def argv(self, words: Sequence[str | Path]) -> list[str]:
        """Return the words that run a program as this user."""
        become = (f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups")
        enter = ("nsenter", f"--target={self.holder}", "--mount", f"--wd={self.home}")
        return [*enter, "setpriv", *become, "--", *map(str, words)]

    def run(
        self, *words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, in its home, with a clean environment."""
        return subprocess.run(
            self.argv(words),
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a login would give it."""
        return {
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8",
        }


@contextmanager
def made(folder: Path) -> Iterator[Person]:
    """Make a user for a while; whatever it left running ends with it. Needs root."""
    check_reach()
    name = f"gbt{os.getpid()}"
    home = folder / name
    accounts("useradd", "--create-home", "--home-dir", home, "--shell", "/bin/sh", name)
    uid = pwd.getpwnam(name).pw_uid
    words = ["unshare", "--mount", "sh", "-c", _HOLD, "sh", str(folder / "private")]
    try:
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            yield Person(name=name, uid=uid, home=home, holder=holder.pid)
    finally:
        _end_all(uid)
        accounts("userdel", "--remove", name)


def check_reach() -> None:
    """Skip what an ordinary user runs from this clone when others cannot get there."""
    for path in (Path(sys.executable), Path(__file__)):
        closed = [one for one in path.parents if not one.stat().st_mode & stat.S_IXOTH]
        if closed:
            pytest.skip(f"other users cannot enter {closed[-1]}: clone gbuild to where they can")


def accounts(*words: str | Path) -> None:
    """Change the accounts of this host; useradd and userdel do not wait for each other."""
    with open("/run/gbuild-test-accounts.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(list(map(str, words)), check=True, capture_output=True)


def _end_all(uid: int) -> None:
    """End what runs as the user or as one of its subordinate ids."""
    until = time.monotonic() + 120
    while (left := list(_processes(uid))) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    assert left == []


def _processes(uid: int) -> Iterator[int]:
    name = pwd.getpwuid(uid).pw_name
    rows = (line.split(":") for line in Path("/etc/subuid").read_text().splitlines())
    ranges = [range(int(first), int(first) + int(n)) for who, first, n in rows if who == name]
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            owner = place.stat().st_uid
            if owner == uid or any(owner in one for one in ranges):
                yield int(place.name)
