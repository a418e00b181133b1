"""Targets end when their job does, unless they are to be kept."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild.engine import preflight
from gbuild.engine.machines import Machines
from gbuild.errors import BackendFailure, BuildFailed, HostFailure
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.model.lock import Environment
from gbuild.model.options import BuildOptions
from gbuild.target.backend import Backend, Finding, Machine, Prepared, TargetInfo, TargetSpec
from gbuild.target.capable import REPLACING


class FakeMachine(Machine):
    """A machine that only remembers whether it was stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.user = "debian"
        self.host_key = self.client_key = ""
        self.facts: Mapping[str, str] = {}
        self.stopped = threading.Event()

    def connect(self) -> socket.socket:
        raise BackendFailure("nobody answers here")

    def cut_network(self) -> None: ...

    def alive(self) -> bool:
        return not self.stopped.is_set()

    def stop(self) -> None:
        self.stopped.set()


class FakeBackend(Backend):
    """A backend in memory: every target that was ever started is in ``machines``."""

    name: ClassVar[str] = "fake"

    def __init__(self) -> None:
        self.machines: dict[str, FakeMachine] = {}
        self.detached: list[str] = []
        self.broken: tuple[Finding, ...] = ()
        self.options = {}

    def probe(self) -> tuple[Finding, ...]:
        return self.broken

    def prepare(self, image: Image) -> None: ...

    def prepared(self) -> tuple[Prepared, ...]:
        return ()

    def discard(self, key: str) -> bool:
        return False

    def start(self, spec: TargetSpec) -> Machine:
        if self.broken:
            raise BackendFailure("it does not start")
        return self.machines.setdefault(spec.name, FakeMachine(spec.name))

    def detach(self, spec: TargetSpec) -> TargetInfo:
        self.start(spec)
        self.detached.append(spec.name)
        return TargetInfo(name=spec.name, backend=self.name, state="running", started=0.0)

    def attach(self, name: str) -> Machine:
        return self.machines[name]

    def targets(self) -> tuple[TargetInfo, ...]:
        return ()

    def prune(self) -> tuple[str, ...]:
        return ()


def _spec(name: str) -> TargetSpec:
    environment = Environment(
        suite="bookworm", arch="amd64", distro="debian", request=(), archives=(), packages=()
    )
    image = Image(key="k", sha256="0" * 64, recipe=1, environment=environment, tar=Path("tar"))
    return TargetSpec(name=name, image=image, user="debian")


@pytest.fixture
def backend() -> FakeBackend:
    """A fresh backend."""
    return FakeBackend()


def _build(machines: Machines, name: str, error: BaseException | None) -> None:
    with machines.running(_spec(name)):
        if error is not None:
            raise error


def test_a_target_ends_with_its_job(backend: FakeBackend) -> None:
    _build(Machines(backend, BuildOptions()), "one", None)
    assert not backend.machines["one"].alive()
    assert not backend.detached


def test_a_failed_target_ends_too(backend: FakeBackend) -> None:
    with pytest.raises(BuildFailed):
        _build(Machines(backend, BuildOptions()), "one", BuildFailed("no"))
    assert not backend.machines["one"].alive()


def test_keep_leaves_a_failed_target_for_a_shell(backend: FakeBackend) -> None:
    machines = Machines(backend, BuildOptions(keep=True))
    with pytest.raises(BuildFailed):
        _build(machines, "one", BuildFailed("no"))
    assert backend.machines["one"].alive()
    assert backend.detached == ["one"]
    assert "gtarget shell" in machines.hint("bookworm-amd64")


def test_keep_ends_a_target_that_did_well(backend: FakeBackend) -> None:
    _build(Machines(backend, BuildOptions(keep=True)), "one", None)
    assert not backend.machines["one"].alive()


def test_skip_cleanup_keeps_every_target(backend: FakeBackend) -> None:
    _build(Machines(backend, BuildOptions(skip_cleanup=True)), "one", None)
    assert backend.machines["one"].alive()


def test_an_interruption_ends_even_a_target_to_be_kept(backend: FakeBackend) -> None:
    with pytest.raises(KeyboardInterrupt):
        _build(Machines(backend, BuildOptions(keep=True)), "one", KeyboardInterrupt())
    assert not backend.machines["one"].alive()


def test_ending_all_ends_the_living_and_lets_none_start(backend: FakeBackend) -> None:
    machines = Machines(backend, BuildOptions(keep=True))
    with machines.running(_spec("one")):
        machines.end_all()
        assert not backend.machines["one"].alive()
    with pytest.raises(BackendFailure, match="interrupted"):
        _build(machines, "two", None)
    assert not backend.machines["two"].alive()


def test_a_target_that_does_not_start_says_what_the_host_misses(backend: FakeBackend) -> None:
    backend.broken = (Finding("uidmap", "missing", "newuidmap is gone", "apt-get install uidmap"),)
    with pytest.raises(HostFailure, match="newuidmap is gone"):
        _build(Machines(backend, BuildOptions()), "one", None)
    backend.broken = (Finding("all", "ok", "as it should be"),)
    with pytest.raises(BackendFailure, match="does not start"):
        _build(Machines(backend, BuildOptions()), "one", None)


def test_a_host_is_asked_once(backend: FakeBackend, tmp_path: Path) -> None:
    store = Store(tmp_path)
    backend.broken = (Finding("uidmap", "missing", "newuidmap is gone", "mend"),)
    assert preflight.backend_problems(backend, store)
    assert preflight.backend_problems(backend, store)
    backend.broken = ()
    assert not preflight.backend_problems(backend, store)
    backend.broken = (Finding("uidmap", "missing", "newuidmap is gone", "mend"),)
    assert not preflight.backend_problems(backend, store)
    backend.options = {"pool": "fats"}
    assert preflight.backend_problems(backend, store)


def test_what_this_kernel_cannot_is_told_at_every_build(
    backend: FakeBackend, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    backend.broken = (
        Finding(REPLACING, "limited", "builds that replace directories fail", "--scratch disk"),
        Finding("memory", "limited", "1 GiB", "another matter"),
    )
    assert not preflight.backend_warnings(backend, store, BuildOptions())
    assert not preflight.backend_problems(backend, store)
    for _ in range(2):
        (text,) = preflight.backend_warnings(backend, store, BuildOptions())
        assert text == "builds that replace directories fail: --scratch disk"
    assert not preflight.backend_warnings(backend, store, BuildOptions(scratch="disk"))
