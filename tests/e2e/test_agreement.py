"""One descriptor, every backend, the same bytes: artefacts and the whole report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract import lxd_server, person

from .conftest import DESCRIPTORS, RELEASES_ONLY

if TYPE_CHECKING:
    from tests.conftest import Common

    from .conftest import Commands

pytestmark = [pytest.mark.slow, pytest.mark.root]

HELLO = ("lxc", "lxd", "oci")


def _backends(*names: str) -> list[Any]:
    """Return parameters, each marked as being about its backend."""
    return [pytest.param(name, marks=pytest.mark.backend(name)) for name in names]


@pytest.fixture(scope="session")
def locked(commands: Commands, common: Common) -> Path:
    """hello.yml with a lock that has what virtual machines boot, too."""

    def lock(folder: Path) -> None:
        shutil.copy(DESCRIPTORS / "hello.yml", folder)
        commands.run("glock", "--boot", "hello.yml", *RELEASES_ONLY, cwd=folder)

    return common.once("hello to boot", lock)


@pytest.fixture(scope="session")
def hello_of_userns(commands: Commands, locked: Path, common: Common) -> tuple[Any, bytes]:
    """What the default backend makes of hello: artefacts and report."""
    folder = common.once(
        "hello of userns", lambda folder: _build(commands, locked, folder, "hello")
    )
    return _results(folder, "hello")


@pytest.mark.parametrize("backend", _backends(*HELLO))
def test_hello_is_the_same_on(
    backend: str, commands: Commands, locked: Path, hello_of_userns: tuple[Any, bytes], place: Path
) -> None:
    with _ready(backend, commands, place) as (here, work):
        _build(here, locked, work, "hello", "--backend", backend)
        assert _results(work, "hello") == hello_of_userns


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may enter."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_folder()))
        yield folder


@contextmanager
def _folder() -> Iterator[str]:
    import tempfile

    folder = tempfile.mkdtemp(prefix="gbuild-agreement-", dir="/var/tmp")
    Path(folder).chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def _ready(backend: str, commands: Commands, place: Path) -> Iterator[tuple[Commands, Path]]:
    """Yield commands that can use the backend, and a folder to work in."""
    tool = {"lxc": "lxc-start", "lxd": "lxd", "oci": "podman"}[backend]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    work = place / "work"
    if backend == "lxd":
        work.mkdir()
        with lxd_server.running() as server:
            told = {**commands.environment, "LXD_DIR": str(server.folder)}
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
    for name in ("blobs", "proved"):
        shutil.copytree(source / name, dest / name, copy_function=os.link)
    for record in (source / "images").glob("*/image.json"):
        (dest / "images" / record.parent.name).mkdir(parents=True)
        shutil.copy(record, dest / "images" / record.parent.name)
    for folder, folders, files in os.walk(dest):
        os.chown(folder, uid, uid)
        for name in (*folders, *files):
            if "blobs" not in folder:
                os.chown(os.path.join(folder, name), uid, uid)


def _build(commands: Commands, locked: Path, work: Path, name: str, *words: str) -> None:
    for suffix in (".yml", ".lock", ".lock.proof"):
        shutil.copy(locked / f"{name}{suffix}", work)
    # A user's own git and temporary files lie in the work folder; enter it by --workspace.
    commands.run("gbuild", "--workspace", work, *words, "-j", "1", work / f"{name}.yml", cwd=work)


def _results(work: Path, name: str) -> tuple[Any, bytes]:
    out = work / "build" / "out"
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*")}
    assert files
    return files, (work / "result" / f"{name}-res.yml").read_bytes()
