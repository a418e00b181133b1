"""The hosts of all targets are asked as :mod:`gbuild.target.servers` has it."""

from __future__ import annotations

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
    """Hosts that nobody reaches."""
    uris: list[str] = []

    def connect(uri: str) -> None:
        uris.append(uri)
        raise HostFailure(f"nobody at {uri}")

    monkeypatch.setattr(module, "connect", connect)
    return uris


@pytest.fixture
def kvm(tmp_path: Path, told: list[Event], asked: list[str]) -> KvmBackend:
    options = {"uri": f"qemu+ssh://{HOSTS[0]}/system"}
    made = KvmBackend(store=Store(tmp_path), environment={}, sink=told.append, options=options)
    (tmp_path / "kvm").mkdir()
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


def test_a_list_asks_each_host_once(kvm: KvmBackend, told: list[Event], asked: list[str]) -> None:
    assert [info.state for info in kvm.targets()] == ["dead"] * 6
    assert len(asked) == len(HOSTS)
    assert [event.text.split(":")[0] for event in told] == ["nobody at qemu+ssh"] * 2
    kvm.targets()
    assert len(asked) == 2 * len(HOSTS), "the next list asks again"


def test_what_prune_keeps_it_names_with_what_to_do(
    kvm: KvmBackend, told: list[Event], asked: list[str]
) -> None:
    assert kvm.prune() == ()
    *kept, searched = (event.text for event in told)
    assert len(asked) == len(HOSTS), "also the one where strays are looked for"
    assert len(kvm.targets()) == len(kept) == 6
    assert kept[0].endswith("if that is gone for good: gtarget prune --forget box0")
    assert searched.endswith(": nothing was looked for over there")


def test_a_target_of_a_silent_host_is_neither_absent_nor_its_name_free(kvm: KvmBackend) -> None:
    with pytest.raises(HostFailure, match="the target box1 is out of reach: nobody at"):
        kvm.attach("box1")
    with pytest.raises(HostFailure, match="a target called box1 may run already: nobody at"):
        kvm._targets.registry.check_free("box1")
