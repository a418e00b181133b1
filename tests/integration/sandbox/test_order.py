"""A target whose folders list their files in reverse order, and what serves them is shut in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gbuild.errors import MissingTool
from gbuild.host import disorder

from .conftest import StartTarget, out, sh

_FOLDERS = ("/home/debian", "/var/tmp/build")
_MAKE = "mkdir d; cd d; for n in {1..9}; do echo $n > $n; done; ls -U"
_USE = "ln 1 one; mv 2 two; rm 3; chmod 600 4; ln -s 5 five; cat 1 one five; stat -c %a:%U 4"
_SERVER = """\
for folder in /proc/[0-9]*; do
  read -r name < $folder/comm && test "$name" = disorderfs && pid=${folder#/proc/}
done
test -n "$pid" || exit 77
"""
_TRY = """\
for way in root cwd; do ls /proc/$pid/$way/. > /dev/null 2>&1 && echo $way; done
for way in fd/3 mem maps environ; do cat /proc/$pid/$way > /dev/null 2>&1 && echo $way; done
true
"""
"""Prints what of the server can be reached."""


@pytest.fixture(autouse=True)
def _server(tmp_path: Path) -> None:
    if shutil.which("disorderfs") is None:
        pytest.skip("disorderfs is not installed")
    try:
        disorder.find(_FOLDERS, scratch=tmp_path / "devices")
    except MissingTool as error:  # a container without /dev/fuse
        pytest.skip(str(error))


def test_the_order_is_reversed_and_all_else_works(start: StartTarget) -> None:
    order = out(start(name="usual"), _MAKE).split()
    assert sorted(order) == [str(n) for n in range(1, 10)]
    machine = start(name="reversed", extras={"order.reversed": ":".join(_FOLDERS)})
    assert out(machine, _MAKE).split() == order[::-1]
    out(machine, "chown debian:debian /var/tmp/build", user="root")
    assert out(machine, f"cd /var/tmp/build; {_MAKE}").split() == order[::-1]
    assert out(machine, f"cd d; {_USE}").split() == ["1", "1", "5", "600:debian"]
    assert out(machine, "stat -c %U:%a ~") == "debian:755"


def test_its_server_is_out_of_reach(start: StartTarget) -> None:
    """Whoever ends it loses the folder, and nothing else."""
    machine = start(extras={"order.reversed": _FOLDERS[0]})
    for user in ("root", "debian"):
        assert out(machine, _SERVER + _TRY, user=user) == ""
    mounts = out(machine, "cat /proc/self/mountinfo", user="root")
    assert "server" not in mounts
    assert mounts.count(" /home/debian ") == 2  # the mount point, and what is served
    end = "kill -9 $pid; while test -e /proc/$pid; do sleep 0.1; done"
    out(machine, f"cd /; {_SERVER} {end}", user="root")
    done = sh(machine, "cd /; ls /home/debian", user="root")
    assert done.returncode == 2
    assert b"not connected" in done.stderr
    assert out(machine, "echo alive", user="root") == "alive"
