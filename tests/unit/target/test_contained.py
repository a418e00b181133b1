"""A detached target is reached through its keeper, also one that is still starting."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.target import contained
from gbuild.target.contained import AttachedMachine, listen
from gbuild.target.registry import Entry, Registry, born, new_id


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry with its folder."""
    registry = Registry(Store(tmp_path), "userns")
    registry.folder.mkdir(parents=True)
    return registry


def _entry(*, alive: bool = True) -> Entry:
    return Entry(
        id=new_id("one"),
        name="one",
        pid=os.getpid(),
        born=born(os.getpid()) if alive else "another boot",
        started=0.0,
        detached=True,
        user="debian",
        host_key="",
        client_key="",
    )


def test_a_keeper_that_does_not_listen_yet_is_waited_for(registry: Registry) -> None:
    entry = _entry()
    asked: list[bytes] = []

    def keep() -> None:
        with listen(registry.folder, f"{entry.id}.sock") as door:
            guest, _ = door.accept()
            with guest:
                asked.append(guest.recv(100))
                guest.send(b"ok")

    keeper = threading.Timer(0.1, keep)
    keeper.start()
    AttachedMachine(entry, registry).cut_network()
    keeper.join()
    assert asked == [b"cut"]


def test_a_dead_keeper_is_not_waited_for(registry: Registry) -> None:
    machine = AttachedMachine(_entry(alive=False), registry)
    machine.stop()
    with pytest.raises(BackendFailure, match="does not answer"):
        machine.cut_network()


def test_a_keeper_that_ends_meanwhile_has_stopped(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _entry()
    living = [True]
    monkeypatch.setattr(Entry, "alive", lambda _: living[0])

    def end() -> None:
        with listen(registry.folder, f"{entry.id}.sock") as door:
            guest, _ = door.accept()
            guest.close()
        living[0] = False

    keeper = threading.Thread(target=end)
    keeper.start()
    AttachedMachine(entry, registry).stop()
    keeper.join()


def test_a_keeper_that_refuses_is_told_of(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contained, "_MOMENT", 0.01)
    entry = _entry()

    def refuse() -> None:
        with listen(registry.folder, f"{entry.id}.sock") as door:
            guest, _ = door.accept()
            with guest:
                guest.recv(100)
                guest.send(b"failed: no")

    keeper = threading.Thread(target=refuse)
    keeper.start()
    with pytest.raises(BackendFailure, match="refused to stop"):
        AttachedMachine(entry, registry).stop()
    keeper.join()
