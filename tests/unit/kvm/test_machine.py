"""What becomes of a machine whose libvirt does not answer, or answers that it stays."""

from __future__ import annotations

import socket

import pytest

from gbuild.backends.kvm.machine import FarDoor, KvmMachine
from gbuild.backends.kvm.ssh import Ssh
from gbuild.errors import BackendFailure, GbuildError, HostFailure
from gbuild.model.event import Event
from gbuild.target.registry import Entry


class Hypervisor:
    """Fails at the end as often as it is told."""

    def __init__(self, *failures: GbuildError) -> None:
        self.failures = list(failures)

    def running(self) -> bool:
        raise HostFailure("box cannot be reached by SSH")

    def stuck(self) -> bool:
        return False

    def cut(self) -> None:
        raise AssertionError

    def end(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


class Case:
    """A machine, what it told, and how often it was cleaned up."""

    def __init__(self, *failures: GbuildError) -> None:
        self.told: list[Event] = []
        self.cleaned = 0
        entry = Entry(
            id="far~1~a", name="far", pid=1, born="", started=0, detached=False, user="builder",
            host_key="", client_key="",
        )  # fmt: skip
        door = FarDoor(Ssh(host="box"), 1)
        self.machine = KvmMachine(
            entry, Hypervisor(*failures), door, self._clean, self.told.append, host="box"
        )

    def _clean(self) -> None:
        self.cleaned += 1


def test_what_an_unreachable_host_has_stays_written_down_and_is_told() -> None:
    case = Case(HostFailure("box cannot be reached by SSH"))
    assert not case.machine.alive()
    for _ in range(2):
        case.machine.stop()
    assert case.cleaned == 0
    [warning] = case.told
    assert warning.kind == "warning"
    assert warning.text == (
        "box cannot be reached by SSH: what far left there stays until gtarget prune"
    )


def test_a_machine_that_does_not_end_may_be_ended_again() -> None:
    case = Case(BackendFailure("the target far cannot be ended"))
    with pytest.raises(BackendFailure):
        case.machine.stop()
    case.machine.stop()
    case.machine.stop()
    assert (case.cleaned, case.told) == (1, [])


def test_what_the_way_complains_of_is_overheard(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    ours, theirs = socket.socketpair()

    def reach(_: Ssh, port: int, heard: list[str]) -> socket.socket:
        heard.append(f"ssh: to {port}")
        return ours

    monkeypatch.setattr(Ssh, "reach", reach)
    with case.machine.connect(), theirs:
        assert case.machine.overheard() == ("ssh: to 1",)
    case.machine.stop()
