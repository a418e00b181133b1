"""Commands that can use a backend: as root, beside a daemon of the test's own, as a person."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract import libvirt_daemon, lxd_server, person

if TYPE_CHECKING:
    from .conftest import Commands


@contextmanager
def ready(backend: str, commands: Commands, place: Path) -> Iterator[tuple[Commands, Path]]:
    """Yield commands that can use the backend, and a folder to work in."""
    tool = {"lxc": "lxc-start", "lxd": "lxd", "oci": "podman", "kvm": "libvirtd"}[backend]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    work = place / "work"
    if backend == "lxd":
        work.mkdir()
        with lxd_server.running() as server:
            told = {**commands.environment, "LXD_DIR": str(server.folder)}
            yield replace(commands, environment=told), work
    elif backend == "kvm":
        work.mkdir()
        with libvirt_daemon.running() as uri:
            (place / "gbuild").mkdir()
            (place / "gbuild" / "config.toml").write_text(f'[backends.kvm]\nuri = "{uri}"\n')
            told = {**commands.environment, "XDG_CONFIG_HOME": str(place)}
            yield replace(commands, environment=told), work
    elif backend == "oci":
        with person.made(place) as someone:
            store = someone.home / "store"
            _share(commands.store, store, someone.uid)
            work = someone.home / "work"
            work.mkdir()
            os.chown(work, someone.uid, someone.uid)
            yield (
                replace(
                    commands,
                    store=store,
                    home=someone.home,
                    prefix=tuple(someone.argv(())),
                    environment={**commands.environment, **someone.environment},
                ),
                work,
            )
    else:
        work.mkdir()
        yield commands, work


def _share(source: Path, dest: Path, uid: int) -> None:
    """Give a user a store with what a finished build left: blobs, images and proofs."""
    half = shutil.ignore_patterns(".*")  # another worker may be writing it
    for name in ("blobs", "proved"):
        shutil.copytree(source / name, dest / name, copy_function=os.link, ignore=half)
    for record in (source / "images").glob("*/image.json"):
        (dest / "images" / record.parent.name).mkdir(parents=True)
        shutil.copy(record, dest / "images" / record.parent.name)
    for folder, folders, files in os.walk(dest):
        os.chown(folder, uid, uid)
        for name in (*folders, *files):
            if "blobs" not in folder:
                os.chown(os.path.join(folder, name), uid, uid)
