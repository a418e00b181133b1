"""hello: the same bytes and the same report wherever, whenever and by whom it is built."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract import person

from .conftest import build_hello

if TYPE_CHECKING:
    from tests.conftest import Common

    from .conftest import Commands, Project, Result


def test_twice_the_same_bytes_and_the_same_report(
    project: Project, locked_hello: Path, built_hello: Result
) -> None:
    time.sleep(max(0.0, built_hello.ended + 2 - time.time()))
    assert build_hello(project.commands, locked_hello, project.root) == built_hello
    assert set(built_hello.out) == {"hello", "hello-2.10-linux-amd64.tar.gz"}
    assert len(built_hello.images) == 1


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


def _share_blobs(source: Path, dest: Path) -> None:
    """Let the user have the packages, not the images, so that he makes his own."""
    shutil.copytree(source / "blobs", dest / "blobs", copy_function=_small_only)


def _small_only(source: str, dest: str) -> None:
    if Path(source).stat().st_size < (200 << 20):
        shutil.copyfile(source, dest)


@pytest.mark.slow
@pytest.mark.root
def test_root_and_a_user_elsewhere_agree(
    commands: Commands, locked_hello: Path, built_hello: Result, user: pwd.struct_passwd
) -> None:
    workspace = Path(user.pw_dir) / "work"
    workspace.mkdir()
    others = _as_user(commands, user)
    _share_blobs(commands.store, others.store)
    subprocess.run(["chown", "-R", user.pw_name, user.pw_dir], check=True)
    time.sleep(max(0.0, built_hello.ended + 2 - time.time()))
    try:
        second = build_hello(others, locked_hello, workspace)
    finally:
        others.run("gbase", "prune", "--all", cwd=workspace, code=None)
    assert second == built_hello
