"""However a target or gbuild ends, nothing is left."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.backends.userns.backend import UsernsBackend
from gbuild.errors import BackendFailure, TimedOut
from gbuild.host import cgroup
from gbuild.image.copies import GivenTree
from gbuild.target.backend import Machine
from gbuild.target.contained import ContainedMachine

from .conftest import StartTarget, out, sh, spec
from .processes import descendants, until

_DAEMONS = "setsid sleep 600 >/dev/null 2>&1 & nohup sleep 601 >/dev/null 2>&1 & sleep 602 & "


def _family(machine: Machine) -> set[int]:
    assert isinstance(machine, ContainedMachine)
    return {machine.pid, *descendants(machine.pid)}


def _gone(pids: set[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def _mounts(backend: UsernsBackend) -> int:
    """Count this host's mounts over the backend's tree or store; others' tests mount, too."""
    assert isinstance(backend.copies.trees, GivenTree)
    ours = (str(backend.copies.trees.path), str(backend.store.root))
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sum(any(path in line for path in ours) for line in lines)


def test_stop_leaves_nothing(start: StartTarget, backend: UsernsBackend) -> None:
    mounts = _mounts(backend)
    machine = start()
    assert isinstance(machine, ContainedMachine)
    out(machine, f"{_DAEMONS} true")
    family = _family(machine)
    assert len(family) >= 5
    machine.stop()
    assert _gone(family)
    assert not machine.alive()
    assert _mounts(backend) == mounts
    assert backend.targets() == ()
    groups = cgroup.PREFIX + machine.id
    assert not any((place.folder / groups).exists() for place in cgroup.places())
    machine.stop()


def test_a_stopped_target_gives_no_connection(start: StartTarget) -> None:
    machine = start()
    machine.stop()
    with pytest.raises(BackendFailure):
        machine.connect()


def test_a_timeout_then_stop_leaves_nothing(start: StartTarget) -> None:
    machine = start()
    with pytest.raises(TimedOut):
        sh(machine, f"{_DAEMONS} sleep 603", timeout=1)
    family = _family(machine)
    machine.stop()
    assert _gone(family)


_KEEPER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gbuild.backends.userns.backend import UsernsBackend
from gbuild.image.copies import GivenTree
from gbuild.host.store import Store
from gbuild.model.event import discard
import pickle
store, tree = Store(Path(sys.argv[2])), GivenTree(Path(sys.argv[3]))
backend = UsernsBackend(store=store, environment=os.environ, sink=discard, trees=tree)
machine = backend.start(pickle.loads(bytes.fromhex(sys.argv[4])))
print(machine.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def other_process(
    store: object, tree: Path, backend: UsernsBackend
) -> Iterator[subprocess.Popen[str]]:
    """Another process that keeps a target; prints the launcher's pid."""
    import pickle

    words = [str(Path(__file__).parents[3] / "src"), str(backend.store.root), str(tree)]
    process = subprocess.Popen(
        [sys.executable, "-c", _KEEPER, *words, pickle.dumps(spec()).hex()],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_gbuild_is_killed_nothing_is_left(
    other_process: subprocess.Popen[str], backend: UsernsBackend, number: signal.Signals
) -> None:
    assert other_process.stdout is not None
    launcher = int(other_process.stdout.readline())
    family = {launcher, *descendants(launcher)}
    assert len(family) >= 2
    assert [info.state for info in backend.targets()] == ["running"]
    other_process.send_signal(number)
    other_process.wait()
    assert until(lambda: _gone(family))
    assert [info.state for info in backend.targets()] == ["dead"]
    (entry,) = backend.registry.entries()
    removed = backend.prune()
    assert "target test" in removed
    assert not any(Path(group).exists() for group in entry.held["groups"])
    assert entry.held["groups"] or os.getuid() != 0 or not os.access("/sys/fs/cgroup", os.W_OK)
    assert backend.targets() == ()
    assert "target test" not in backend.prune()


def test_killing_the_launcher_ends_the_target(start: StartTarget) -> None:
    machine = start()
    family = _family(machine)
    os.kill(min(family), signal.SIGKILL)
    assert until(lambda: _gone(family - {min(family)}))
    assert not machine.alive()


def test_a_target_started_by_a_thread_outlives_the_thread(
    backend: UsernsBackend,
) -> None:
    made: list[Machine] = []
    thread = threading.Thread(target=lambda: made.append(backend.start(spec())))
    thread.start()
    thread.join()
    with made[0] as machine:
        assert out(machine, "echo alive") == "alive"


def test_a_failed_start_leaves_nothing(backend: UsernsBackend) -> None:
    before = descendants(os.getpid())
    with pytest.raises(BackendFailure):
        backend.start(spec(extras={"personality": str(1 << 31)}, hostname="x" * 200))
    assert descendants(os.getpid()) <= before
    assert backend.targets() == ()


def test_many_starts_grow_nothing(backend: UsernsBackend) -> None:
    def footprint() -> tuple[int, int, int]:
        gc.collect()  # files that only unreachable objects hold open are none of a target's
        files = len(list(Path("/proc/self/fd").iterdir()))
        return len(descendants(os.getpid())), _mounts(backend), files

    backend.start(spec()).stop()
    before = footprint()
    for _ in range(20):
        backend.start(spec()).stop()
    after = footprint()
    assert [max(was, now) for was, now in zip(before, after, strict=True)] == list(before)
