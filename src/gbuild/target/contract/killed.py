"""Drivers that are killed: whatever they had begun is gone after the next prune."""

from __future__ import annotations

import os
import pickle
import random
import secrets
import signal
import subprocess  # noqa: TID251 - a driver that runs beside the test until it is killed
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Machine, TargetSpec
from gbuild.target.contract import driver
from gbuild.target.contract.base import Contract

KILLS = "GBUILD_TEST_KILLS"
"""Variable: how many drivers are killed, each at another moment."""

_PATIENCE = 30.0
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop(1).split(os.pathsep);"
    "from gbuild.target.contract.driver import main; main()"
)


class KilledContract(Contract):
    """kill -9 at any moment of a target's life, of those that end with it and of detached ones."""

    def test_nothing_is_left_of_a_killed_driver(
        self, backend: Backend, image: Image, machine: Machine, tmp_path: Path
    ) -> None:
        count = int(os.environ.get(KILLS, str(self.kills)))
        longest = 120.0 * self.patience
        moments = random.Random(count)  # noqa: S311 - moments, not secrets
        with drivers() as process:
            for number in range(count):
                name = f"killed-{secrets.token_hex(4)}"
                spec = self.spec(image, name=name)
                recipe = self._recipe(backend, spec, tmp_path, detach=number % 2 == 1)
                after = moments.uniform(0, longest) if number else None
                taken = _kill(process, recipe, tmp_path / "recipe", after=after)
                longest = taken if number == 0 else longest
                if name in [one.name for one in backend.targets() if one.state == "running"]:
                    self._stop_detached(backend, name)
                self._assert_gone(name, backend, f"killed after {after} of {longest:.3f} s")
        assert self.out(machine, "echo alive") == "alive\n"

    def leftovers(self, name: str, store: Store) -> set[str]:
        """Return what this host still has of the target ``name``.

        The contract looks for its name where names show; a backend adds what it knows of.
        """
        return {*_processes(name), *_mounts(name), *_groups(name), *_files(name, store)}

    def _stop_detached(self, backend: Backend, name: str) -> None:
        """End a target that had been detached before its driver was killed."""
        try:
            machine = backend.attach(name)
        except UsageFailure:
            return  # its driver was just ending it, and that has gone on
        machine.stop()

    def _recipe(
        self, backend: Backend, spec: TargetSpec, folder: Path, *, detach: bool
    ) -> driver.Recipe:
        tree = folder / "tree"
        if not tree.exists():
            tree.mkdir()
            for part in range(5):
                (tree / str(part)).write_bytes(os.urandom(100_000))
        return driver.Recipe(
            kind=type(backend),
            store=backend.store.root,
            environment=dict(backend.environment),
            options=dict(backend.options),
            spec=spec,
            detach=detach,
            tree=tree,
            back=folder / f"back-{spec.name}",
            ready=60 * self.patience,
        )

    def _assert_gone(self, name: str, backend: Backend, when: str) -> None:
        """Prune until nothing is left: what was killed just now may take a moment to end."""
        until = time.monotonic() + _PATIENCE * self.patience
        while True:
            backend.prune()
            left = self.leftovers(name, backend.store)
            left |= {f"target {one.name}" for one in backend.targets() if one.name == name}
            if not left or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert left == set(), when


@contextmanager
def drivers() -> Iterator[subprocess.Popen[bytes]]:
    """Run the process of which every driver is a copy."""
    words = [sys.executable, "-c", _START, os.pathsep.join(sys.path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


def begin(process: subprocess.Popen[bytes], recipe: driver.Recipe, path: Path) -> int:
    """Let a driver begin, with ``path`` for its recipe; return its process id."""
    assert process.stdin is not None
    assert process.stdout is not None
    path.write_bytes(pickle.dumps(recipe))
    process.stdin.write(f"{path}\n".encode())
    process.stdin.flush()
    word, pid = process.stdout.readline().split()
    assert word == b"begin"
    return int(pid)


def end(process: subprocess.Popen[bytes], pid: int) -> None:
    """Kill a driver; returns when it is gone."""
    assert process.stdout is not None
    os.kill(pid, signal.SIGKILL)
    while (told := process.stdout.readline()) != b"ended\n":
        assert told == b"lived\n"


def _kill(
    process: subprocess.Popen[bytes], recipe: driver.Recipe, path: Path, *, after: float | None
) -> float:
    """Kill a driver ``after`` seconds or once its target has lived; return the seconds it had."""
    assert process.stdout is not None
    pid = begin(process, recipe, path)
    began = time.monotonic()
    if after is None:
        assert process.stdout.readline() == b"lived\n"
    else:
        time.sleep(after)
    taken = time.monotonic() - began
    end(process, pid)
    return taken


def _processes(name: str) -> Iterator[str]:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if name.encode() in words:
            yield f"process {place.name}: {words.decode(errors='replace')}"


def _mounts(name: str) -> Iterator[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    yield from (f"mount {line}" for line in lines if name in line)
    for loop in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = loop.read_text()
        except OSError:
            continue  # set free meanwhile
        if name in file:
            yield f"loop device of {file.strip()}"


def _groups(name: str) -> Iterator[str]:
    for place, _, _ in os.walk("/sys/fs/cgroup"):
        if name in place.rpartition("/")[2]:
            yield f"control group {place}"


def _files(name: str, store: Store) -> Iterator[str]:
    for place, folders, files in os.walk(store.root):
        yield from (f"file {place}/{one}" for one in (*folders, *files) if name in one)
    spaces = Path("/run/netns")
    if spaces.is_dir():
        yield from (f"network {one}" for one in spaces.iterdir() if name in one.name)
