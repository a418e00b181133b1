"""Targets that outlive the process that started them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.backends.userns.backend import UsernsBackend
from gbuild.errors import BackendFailure, UsageFailure
from gbuild.target.backend import TargetInfo

from .conftest import make_backend, out, spec
from .processes import until


@pytest.fixture
def kept(backend: UsernsBackend) -> Iterator[TargetInfo]:
    """A detached target; ended afterwards."""
    info = backend.detach(spec("kept"))
    yield info
    if any(other.state == "running" for other in backend.targets()):
        backend.attach("kept").stop()


def test_another_process_finds_and_uses_it(
    backend: UsernsBackend, kept: TargetInfo, tree: Path
) -> None:
    other = make_backend(backend.store, tree, [])
    assert other.targets() == (kept,)
    machine = other.attach("kept")
    out(machine, "echo mark >/tmp/mark")
    assert out(other.attach("kept"), "cat /tmp/mark", user="root") == "mark"
    machine.cut_network()
    machine.stop()
    assert not machine.alive()
    assert backend.targets() == ()
    with pytest.raises(BackendFailure):
        machine.connect()


def test_its_files_are_closed_to_others(backend: UsernsBackend, kept: TargetInfo) -> None:
    folder = backend.registry.folder
    assert kept.pid is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.suffix: path.stat().st_mode & 0o077 for path in folder.iterdir()}
    assert modes[".json"] == 0
    assert modes.keys() == {".json", ".sock"}


@pytest.mark.usefixtures("kept")
def test_a_name_is_taken_once(backend: UsernsBackend) -> None:
    with pytest.raises(UsageFailure, match="runs already"):
        backend.detach(spec("kept"))


def test_a_killed_keeper_takes_its_target_along(backend: UsernsBackend, kept: TargetInfo) -> None:
    assert kept.pid is not None
    os.kill(kept.pid, signal.SIGKILL)
    assert until(lambda: [info.state for info in backend.targets()] == ["dead"])
    with pytest.raises(UsageFailure, match="no target called kept runs"):
        backend.attach("kept")
    assert "target kept" in backend.prune()
    assert backend.targets() == ()


def test_prune_spares_the_living(backend: UsernsBackend, kept: TargetInfo) -> None:
    backend.prune()
    assert backend.targets() == (kept,)
    assert out(backend.attach("kept"), "echo alive") == "alive"


def test_a_start_that_fails_there_fails_here(backend: UsernsBackend) -> None:
    with pytest.raises(BackendFailure):
        backend.detach(spec("kept", hostname="x" * 200))
    assert backend.targets() == ()
