"""hello: the same bytes and the same report wherever, whenever and by whom it is built."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract import person

from gbuild.formats.lockfile import read_lock
from gbuild.host.store import Store

from .conftest import build_hello

if TYPE_CHECKING:
    from tests.conftest import Common

    from .conftest import Commands, Project, Result


@pytest.mark.skipif(os.getuid() == 0, reason="as root more is seen, below")
def test_twice_the_same_bytes_and_the_same_report(
    project: Project, locked_hello: Path, built_hello: Result
) -> None:
    _check(build_hello(project.commands, locked_hello, project.root), built_hello)


def _check(later: Result, first: Result) -> None:
    """Check that a build at another time gave the same, and that this is what hello is."""
    assert later.ended >= first.ended + 2
    assert later == first
    assert set(first.out) == {"hello", "hello-2.10-linux-amd64.tar.gz"}
    assert len(first.images) == 1


@pytest.fixture
def user(common: Common) -> Iterator[pwd.struct_passwd]:
    """An ordinary user of this host, with subordinate ids, removed at the end."""
    person.check_reach()
    name = f"gb-e2e-{os.getpid()}"
    home = common.root / "people" / "somebody-else"
    home.parent.mkdir(mode=0o755)
    person.accounts("useradd", "-m", "-d", home, "-s", "/bin/sh", name)
    yield pwd.getpwnam(name)
    person.accounts("userdel", name)


def _as_user(commands: Commands, user: pwd.struct_passwd) -> Commands:
    """Other person, home, host name, time zone, umask, locale, processors and boot clock."""
    tool = "/usr/bin/"
    prefix = (
        *(f"{tool}unshare", "--uts", "--time", "--boottime", "500000", "--monotonic", "400000"),
        *(f"{tool}sh", "-c", 'hostname elsewhere; umask 077; exec "$@"', "sh"),
        *(f"{tool}taskset", "-c", "0"),
        *(f"{tool}setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"),
    )
    return replace(
        commands,
        store=Path(user.pw_dir) / "cache",
        home=Path(user.pw_dir),
        prefix=prefix,
        environment={
            "TZ": "Asia/Kathmandu",
            "LC_ALL": "C",
            "LANG": "de_DE.UTF-8",
            "USER": user.pw_name,
        },
    )


def _share_blobs(source: Store, dest: Store, locked: Path, *others: Path) -> None:
    """Let the user have the packages, not the images, so that he makes his own."""
    lock = read_lock(locked.read_bytes(), path=str(locked))
    blobs = [source.blob(package.sha256) for package in lock.environments[0].packages]
    for blob in (*blobs, *others):
        path = dest.blob(blob.name)
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(blob, path)


@pytest.mark.slow
@pytest.mark.root
def test_root_and_a_user_elsewhere_agree(
    commands: Commands,
    locked_hello: Path,
    built_hello: Result,
    hello_tarball: Path,
    user: pwd.struct_passwd,
) -> None:
    workspace = Path(user.pw_dir) / "work"
    workspace.mkdir()
    others = _as_user(commands, user)
    lock = locked_hello / "hello.lock"
    _share_blobs(Store(commands.store), Store(others.store), lock, hello_tarball)
    subprocess.run(["chown", "-R", user.pw_name, user.pw_dir], check=True)
    try:
        second = build_hello(others, locked_hello, workspace)
    finally:
        others.run("gbase", "prune", "--all", cwd=workspace, code=None)
    _check(second, built_hello)
