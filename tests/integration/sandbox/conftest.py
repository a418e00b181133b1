"""A small root file system made of this host's own programs, and targets over it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from gbuild.backends.userns.backend import UsernsBackend
from gbuild.host.idmap import IdMap, current
from gbuild.host.process import Completed
from gbuild.host.sandbox.trusted import run_trusted
from gbuild.host.store import Store
from gbuild.image.copies import GivenTree
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.model.lock import Environment
from gbuild.target.backend import Limits, Machine, TargetSpec
from gbuild.target.shell import Target

PROGRAMS = Path(__file__).parent / "programs"

_SHELL = ("bash", "sh", "env", "false", "test", "timeout", "true", "id", "nproc", "tty", "uname")
_FILES = ("cat", "chmod", "chown", "cp", "dd", "df", "head", "ln", "ls", "mkdir", "mknod", "mv")
_MORE = ("readlink", "rm", "rmdir", "stat", "sync", "tail", "touch", "wc", "sleep", "nohup")
_SYSTEM = ("hostname", "mount", "ps", "setsid", "su", "unshare")
_TOOLS = (*_SHELL, *_FILES, *_MORE, *_SYSTEM)
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0::/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n",
}
_FOLDERS = ("etc", "home", "proc", "root", "run", "sys", "tmp", "var", "dev", "usr")
_LIMITS = Limits(memory=1 << 30, disk=256 << 20, inodes=20_000, processes=400)

StartTarget = Callable[..., Machine]
Trusted = Callable[..., Completed]


@pytest.fixture(scope="session")
def idmap() -> IdMap:
    """The map that every test runs with."""
    return current(os.environ)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of the tree: sshd, a shell, small tools and Python, with what they link to."""
    path = tmp_path_factory.mktemp("archive") / "tree.tar"
    with tarfile.open(path, "w", dereference=True) as tar:
        for name in _FOLDERS:
            _add_folder(tar, name, 0o1777 if name == "tmp" else 0o755)
        for name, text in _ACCOUNTS.items():
            _add_file(tar, name, text.encode(), 0o640 if name == "etc/shadow" else 0o644)
        for link in ("bin", "sbin", "lib", "lib64"):
            _add_link(tar, link, f"usr/{link}")
        for file in sorted(_needed()):
            tar.add(file, str(file).lstrip("/"), filter=_owned_by_root)
        tar.add("/usr/lib/python3.11", "usr/lib/python3.11", filter=_lean)
    return path


@pytest.fixture(scope="session")
def tree(archive: Path, idmap: IdMap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked tree, owned by the map."""
    with _unpacked(archive, tmp_path_factory.mktemp("tree"), idmap) as place:
        yield place


class _unpacked:  # noqa: N801 - used like a function
    def __init__(self, archive: Path, folder: Path, idmap: IdMap) -> None:
        self._archive, self._folder, self._idmap = archive, folder, idmap
        self._root = folder / "root"

    def __enter__(self) -> Path:
        self._root.mkdir()
        os.chown(self._root, self._idmap.outside(0), self._idmap.gids[0][1])
        with self._archive.open("rb") as stream:
            done = run_trusted(
                self._idmap,
                PROGRAMS / "unpack.py",
                [str(self._root)],
                folders=[self._root],
                stdin=stream.fileno(),
            )
        assert done.returncode == 0, done.stderr
        return self._root

    def __exit__(self, *_: object) -> None:
        run_trusted(self._idmap, PROGRAMS / "empty.py", [str(self._root)], folders=[self._root])


@pytest.fixture
def own_tree(archive: Path, idmap: IdMap, tmp_path: Path) -> Iterator[Path]:
    """A tree for one test, to be made hostile with ``in_tree``."""
    with _unpacked(archive, tmp_path, idmap) as place:
        yield place


@pytest.fixture
def trusted(idmap: IdMap) -> Trusted:
    """Run one of the ``programs``: ``trusted(name, *args, folders=...)``."""

    def call(name: str, *args: str, folders: tuple[Path, ...] = ()) -> Completed:
        return run_trusted(idmap, PROGRAMS / f"{name}.py", args, folders=folders)

    return call


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new store."""
    return Store(tmp_path / "store")


@pytest.fixture
def events() -> list[Event]:
    """What the backend told."""
    return []


@pytest.fixture
def backend(store: Store, tree: Path, events: list[Event]) -> UsernsBackend:
    """The backend over the tree."""
    return make_backend(store, tree, events)


def make_backend(store: Store, tree: Path, events: list[Event]) -> UsernsBackend:
    """Make a backend whose every image is ``tree``."""
    return UsernsBackend(
        store=store, environment=os.environ, sink=events.append, trees=GivenTree(tree)
    )


def spec(name: str = "test", **changes: Any) -> TargetSpec:
    """Make a spec with small limits."""
    environment = Environment(
        suite="none", arch="amd64", distro="debian", request=(), archives=(), packages=()
    )
    image = Image(key="k", sha256="0" * 64, recipe=0, environment=environment, tar=Path("none"))
    plain = TargetSpec(name=name, image=image, user="debian", limits=_LIMITS)
    return replace(plain, **changes)


@pytest.fixture
def start(backend: UsernsBackend) -> Iterator[StartTarget]:
    """Start targets that end with the test."""
    running: list[Machine] = []

    def begin(**more: object) -> Machine:
        running.append(backend.start(spec(**more)))  # type: ignore[arg-type]  # **more is a spec's
        return running[-1]

    yield begin
    for machine in running:
        machine.stop()


def sh(machine: Machine, script: str, *, user: str = "debian", timeout: float = 60) -> Completed:
    """Run a script by bash in a target, without a standard input."""
    with Target(machine, sink=lambda _: None) as target:
        return target.run(["bash", "-c", script], user=user, timeout=timeout)


def out(machine: Machine, script: str, *, user: str = "debian") -> str:
    """Run a script that must succeed; return what it printed."""
    done = sh(machine, script, user=user)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout.decode().strip()


def _needed() -> set[Path]:
    programs = {_find(name) for name in _TOOLS} | {Path("/usr/sbin/sshd")}
    programs.add(Path("/usr/bin/python3.11"))
    modules = set(Path("/usr/lib/python3.11/lib-dynload").glob("_ctypes*.so"))
    libraries = {lib for program in programs | modules for lib in _libraries(program)}
    return {_merged(path) for path in programs | libraries}


def _find(name: str) -> Path:
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    assert found is not None, name
    return Path(found)


def _merged(path: Path) -> Path:
    return path if str(path).startswith("/usr/") else Path(f"/usr{path}")


def _libraries(program: Path) -> set[Path]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = (word for line in listed.splitlines() for word in line.split())
    return {Path(word) for word in words if word.startswith("/")}


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    if info.islnk() or info.issym():
        return info
    return info


def _lean(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    unneeded = ("__pycache__", "/test", "/idlelib", "/lib2to3", "/config-", "/ensurepip")
    return None if any(part in info.name for part in unneeded) else _owned_by_root(info)


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, BytesIO(data))


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    tar.addfile(info)
