"""The hosts of all targets are asked side by side, and none twice when it does not answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gbuild.backends.kvm import backend as module
from gbuild.backends.kvm.backend import KvmBackend
from gbuild.errors import HostFailure
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.target.registry import Entry

HOSTS = ("box", "crate")


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hosts that fail once both are asked at the same time; who is asked alone waits in vain."""
    both = threading.Barrier(len(HOSTS), timeout=60)
    uris: list[str] = []

    def connect(uri: str) -> None:
        uris.append(uri)
        both.wait()
        raise HostFailure(f"nobody at {uri}")

    monkeypatch.setattr(module, "connect", connect)
    return uris


@pytest.fixture
def kvm(tmp_path: Path, told: list[Event], asked: list[str]) -> KvmBackend:
    made = KvmBackend(store=Store(tmp_path), environment={}, sink=told.append)
    for host in HOSTS:
        for number in range(3):
            held = {"uri": [f"qemu+ssh://{host}/system"], "domain": ["d", "u"], "port": ["1"]}
            made._targets.registry.add(
                Entry(
                    id=f"{host}{number}~1~0badcafe", name=f"{host}{number}", pid=1, born="",
                    started=0, detached=True, user="u", host_key="", client_key="", held=held,
                )
            )  # fmt: skip
    return made


def test_a_list_waits_for_the_slowest_host_alone(
    kvm: KvmBackend, told: list[Event], asked: list[str]
) -> None:
    assert [info.state for info in kvm.targets()] == ["dead"] * 6
    assert len(asked) == len(HOSTS)
    assert [event.text.split(":")[0] for event in told] == ["nobody at qemu+ssh"] * 2
    kvm.targets()
    assert len(asked) == 2 * len(HOSTS), "the next list asks again"


def test_what_prune_keeps_it_names_with_what_to_do(kvm: KvmBackend, told: list[Event]) -> None:
    assert kvm.prune() == ()
    assert len(kvm.targets()) == 6
    kept = [event.text for event in told if "stays listed" in event.text]
    assert len(kept) == 6
    assert kept[0].endswith("if that is gone for good: gtarget prune --forget box0")
