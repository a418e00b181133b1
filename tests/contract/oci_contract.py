"""The container backend keeps the contract: run by an ordinary user (see test_oci)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild.backends.oci import OciBackend
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.target.contract.base import Start

from . import every_run
from .engine_leftovers import EngineContract

_DELEGATED = Path("/sys/fs/cgroup/cgroup.controllers").exists()
_UNHELD = dict.fromkeys(
    ("memory", "cpus", "processes"), "an ordinary user has no control groups of version 1"
)


class TestOci(EngineContract):
    files: ClassVar = every_run.files(5_000)
    cannot: ClassVar[Mapping[str, str]] = {} if _DELEGATED else _UNHELD

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls) -> Iterator[Store]:
        """A store whose path is no name of an image."""
        folder = Path(tempfile.mkdtemp(prefix="Gbuild-_Contract__", dir="/var/tmp"))
        yield Store(folder / "store")
        shutil.rmtree(folder)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def rested(cls, store: Store, environment: Mapping[str, str]) -> Iterator[None]:
        """In the end no process and no folder of podman is left either."""
        yield
        backend = OciBackend(store=store, environment=environment, sink=discard)
        run = backend.engine.run
        assert run is not None
        backend.prune()
        assert not run.exists()
        assert _processes(str(run)) == []

    def test_a_container_that_is_removed_in_mid_build_is_told(
        self, start: Start, backend: OciBackend
    ) -> None:
        machine = start(name="dying")
        (entry,) = [one for one in backend.registry.entries() if one.name == "dying"]
        words = ("rm", "--force", "--time=0", *entry.held["containers"])
        self.lose(machine, lambda: backend.engine.ask(*words))
        machine.stop()
        assert not machine.alive()
        self._assert_gone("dying", backend, "removed")


def _processes(word: str) -> list[str]:
    """Return the command lines and environments in which a word occurs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours to see
        if word.encode() in words:
            found.append(words.decode(errors="replace"))
    return found
