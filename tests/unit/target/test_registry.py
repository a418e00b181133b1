"""Entries of targets: who lives, who is dead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gbuild.errors import UsageFailure
from gbuild.host.store import Store
from gbuild.target.registry import Entry, Registry, born, new_id


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(Store(tmp_path), "userns")


def _entry(name: str = "one", *, pid: int | None = None, detached: bool = True) -> Entry:
    keeper = os.getpid() if pid is None else pid
    return Entry(
        id=new_id(name),
        name=name,
        pid=keeper,
        born=born(os.getpid()),
        started=1.5,
        detached=detached,
        user="debian",
        host_key="ssh-ed25519 AAAA",
        client_key="PEM",
        facts={"network": "none"},
    )


def test_what_was_added_is_read_back_until_it_is_removed(registry: Registry) -> None:
    entry = _entry()
    registry.add(entry)
    assert registry.entries() == (entry,)
    assert registry.detached("one") == entry
    (info,) = registry.infos()
    assert (info.name, info.backend, info.state) == ("one", "userns", "running")
    registry.remove(entry.id)
    assert registry.entries() == ()


def test_secrets_are_closed_to_others(registry: Registry) -> None:
    registry.add(_entry())
    (path,) = registry.folder.iterdir()
    assert (path.stat().st_mode & 0o777, registry.folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_another_process_with_the_same_number_is_not_the_keeper(registry: Registry) -> None:
    reused = _entry(pid=1)
    registry.add(reused)
    assert not reused.alive()
    assert [info.state for info in registry.infos()] == ["dead"]
    with pytest.raises(UsageFailure):
        registry.detached("one")


def test_a_process_that_never_was_is_not_born() -> None:
    assert born(os.getpid())
    assert born(1 << 30) == ""


def test_a_target_of_a_running_command_cannot_be_attached_to(registry: Registry) -> None:
    registry.add(_entry(detached=False))
    with pytest.raises(UsageFailure, match="no target called one runs"):
        registry.detached("one")


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"id": 1}', b"\xff"])
def test_foreign_files_are_ignored(registry: Registry, data: bytes) -> None:
    registry.add(_entry())
    (registry.folder / "foreign.json").write_bytes(data)
    assert len(registry.entries()) == 1


def test_a_backend_with_a_daemon_says_itself_who_lives(tmp_path: Path) -> None:
    registry = Registry(Store(tmp_path), "lxd", alive=lambda entry: entry.name == "one")
    registry.add(_entry("one", pid=1))
    registry.add(_entry("two"))
    assert registry.detached("one").name == "one"
    with pytest.raises(UsageFailure):
        registry.detached("two")


def test_files_beside_an_entry_go_with_it(registry: Registry) -> None:
    entry = _entry()
    registry.add(entry)
    (registry.folder / f"{entry.id}.sock").touch()
    registry.remove(entry.id)
    assert list(registry.folder.iterdir()) == []


def test_only_scratch_of_the_dead_is_abandoned(registry: Registry) -> None:
    living = _entry()
    registry.add(living)
    for name in (living.id, new_id("starting"), "dead~1073741824~ab", "not ours"):
        (registry.scratch / name).mkdir(parents=True)
    assert [p.name for p in registry.abandoned_scratch()] == ["dead~1073741824~ab"]


def test_what_killed_writers_left_goes_and_nothing_else(registry: Registry) -> None:
    registry.add(kept := _entry())
    ours, dead, other = new_id("two"), f"three~{2**22 + 1}~0badcafe", "README.json"
    stays = {f"{kept.id}.json", f".{kept.id}.json.half", f".{ours}.json.half", other}
    for name in (*stays, f".{dead}.json.half", f"{dead}.sock"):
        (registry.folder / name).touch(exist_ok=True)
    registry.sweep()
    assert {path.name for path in registry.folder.iterdir()} == stays
    registry.remove(kept.id)
    assert {path.name for path in registry.folder.iterdir()} == {f".{ours}.json.half", other}
