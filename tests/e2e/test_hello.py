"""hello: the same bytes and the same report wherever, whenever and by whom it is built."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Common

    from .conftest import Commands


@dataclass(frozen=True, slots=True)
class _Result:
    """What one build left, to be compared with another's."""

    report: bytes
    out: dict[str, bytes]
    images: set[str]


def _build(commands: Commands, descriptor: Path, workspace: Path) -> _Result:
    answer = commands.run("gbuild", descriptor, "--json", cwd=workspace).answer
    out = workspace / "build" / "out"
    return _Result(
        report=(workspace / "result" / "hello-res.yml").read_bytes(),
        out={path.name: path.read_bytes() for path in out.iterdir()},
        images={job["image"] for job in answer["jobs"]},
    )


def test_twice_the_same_bytes_and_the_same_report(commands: Commands, hello: Path) -> None:
    first = _build(commands, hello / "hello.yml", hello)
    shutil.rmtree(hello / "build")
    time.sleep(2)
    assert _build(commands, hello / "hello.yml", hello) == first
    assert set(first.out) == {"hello", "hello-2.10-linux-amd64.tar.gz"}


@pytest.fixture
def user(common: Common) -> Iterator[pwd.struct_passwd]:
    """An ordinary user of this host, with subordinate ids, removed at the end."""
    name = f"gb-e2e-{os.getpid()}"
    home = common.root / "people" / "somebody-else"
    home.parent.mkdir(mode=0o755)
    subprocess.run(["useradd", "-m", "-d", home, "-s", "/bin/sh", name], check=True)
    yield pwd.getpwnam(name)
    subprocess.run(["userdel", name], check=True)


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


@pytest.mark.root
def test_root_and_a_user_elsewhere_agree(
    commands: Commands, hello: Path, user: pwd.struct_passwd
) -> None:
    first = _build(commands, hello / "hello.yml", hello)
    workspace = Path(user.pw_dir) / "work"
    workspace.mkdir()
    for suffix in (".yml", ".lock", ".lock.proof"):
        shutil.copy(hello / f"hello{suffix}", workspace)

    others = _as_user(commands, user)
    _share_blobs(commands.store, others.store)
    subprocess.run(["chown", "-R", user.pw_name, user.pw_dir], check=True)
    time.sleep(2)
    try:
        second = _build(others, workspace / "hello.yml", workspace)
    finally:
        others.run("gbase", "prune", "--all", cwd=workspace, code=None)
    assert second.out == first.out
    assert second.report == first.report
    assert second.images == first.images
