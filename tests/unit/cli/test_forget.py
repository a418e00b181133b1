"""``gtarget prune --forget``: targets that nobody can be asked about any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gbuild.cli import _backends
from gbuild.cli._session import Session
from gbuild.errors import HostFailure, UsageFailure
from gbuild.host.store import Store
from gbuild.target.registry import Entry, Registry, born


class Silent:
    def attach(self, name: str) -> None:
        raise HostFailure(f"{name} is out of reach: no daemon")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    made = Session(command="gtarget.prune", environment={})
    made.store_folder = str(tmp_path)
    monkeypatch.setattr(made, "make_backend", lambda _: Silent())
    return made


def add(backend: str, name: str, store: Path, **fields: Any) -> Registry:
    registry = Registry(Store(store), backend)
    given: dict[str, Any] = {
        "pid": 1,
        "born": "",
        "detached": True,
        "held": {"uri": ["qemu+ssh://box/system"]},
    }
    entry = Entry(
        id=f"{name}~1~0badcafe", name=name, started=0, user="u", host_key="", client_key="",
        **(given | fields),
    )  # fmt: skip
    registry.add(entry)
    return registry


def test_a_dead_target_is_struck_off_and_what_it_held_is_told(
    session: Session, tmp_path: Path
) -> None:
    registry = add("kvm", "gone", tmp_path)
    add("kvm", "other", tmp_path)
    found = _backends.forget(session, "gone")
    assert found == ("gone of kvm, which held: uri qemu+ssh://box/system",)
    assert [entry.name for entry in registry.entries()] == ["other"]
    with pytest.raises(UsageFailure, match="no target called gone"):
        _backends.forget(session, "gone")


def test_one_that_runs_is_not_forgotten(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.getpid()
    registry = add("oci", "mine", tmp_path, detached=False, pid=pid, born=born(pid))
    with pytest.raises(UsageFailure, match="mine runs"):
        _backends.forget(session, "mine")
    userns = add("userns", "here", tmp_path, pid=pid, born=born(pid))
    monkeypatch.undo()
    with pytest.raises(UsageFailure, match="here runs") as caught:
        _backends.forget(session, "here")
    assert caught.value.hint == "gtarget stop here"
    assert len((*registry.entries(), *userns.entries())) == 2
