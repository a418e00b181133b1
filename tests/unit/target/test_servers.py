"""Servers that run targets: asked side by side, each once, and no one's silence hides another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure, GbuildError, HostFailure, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.target.registry import Entry, Registry
from gbuild.target.servers import Servers

SILENT = ("box", "crate")


@dataclass
class World:
    """Servers of which two fail, once both are asked at the same time."""

    store: Store
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    lives: bool = True
    both: threading.Barrier | None = None
    slow: threading.Barrier | None = None

    def __post_init__(self) -> None:
        self.registry = Registry(self.store, "made", alive=self.alive)
        self.servers: Servers[str, str] = Servers(
            self.registry,
            place=self.place,
            connect=self.connect,
            lives=lambda _: self.lives,
            sink=self.tell,
        )

    def add(self, server: str, name: str) -> Entry:
        entry = Entry(
            id=f"{name}~1~{server}", name=name, pid=1, born="", started=0, detached=True,
            user="u", host_key="", client_key="", held={"at": [server]},
        )  # fmt: skip
        self.registry.add(entry)
        return entry

    def place(self, entry: Entry) -> str:
        if entry.held["at"] == ["nowhere"]:
            raise UsageFailure("its certificate cannot be read")
        return entry.held["at"][0]

    def connect(self, place: str) -> str:
        self.asked.append(place)
        if place in SILENT:
            if self.both is not None:
                self.both.wait()
            raise HostFailure(f"nobody at {place}", details=("why",), hint="mend it")
        return place

    def alive(self, entry: Entry) -> bool:
        self.servers.link(self.place(entry))
        if self.slow is not None:
            self.slow.wait()
        return entry.name in self.running

    def end(self, entry: Entry) -> None:
        if self.servers.link(self.place(entry)) == "stubborn":
            raise BackendFailure("stubborn does not end it")
        self.ended.append(entry.name)
        self.registry.remove(entry.id)

    def tell(self, event: Event) -> None:
        assert event.kind == "warning"
        self.told.append(event.text)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Store(tmp_path))


def test_a_silent_server_costs_the_others_nothing(world: World) -> None:
    world.both = threading.Barrier(len(SILENT), timeout=60)  # who is asked alone waits in vain
    for server in (*SILENT, "shelf", "nowhere"):
        for number in range(2):
            world.add(server, f"{server}{number}")
    world.running |= {"shelf1", "box0"}
    states = {info.name: info.state for info in world.servers.targets()}
    assert [name for name, state in states.items() if state == "running"] == ["shelf1"]
    assert len(states) == 8
    assert world.told == [
        "its certificate cannot be read: its targets are shown as dead, prune keeps them",
        "nobody at box: its targets are shown as dead, prune keeps them",
        "nobody at crate: its targets are shown as dead, prune keeps them",
    ]
    assert sorted(world.asked) == ["box", "crate", "shelf"]
    world.servers.targets()
    assert len(world.asked) == 5, "the next list asks the silent again"


def test_the_targets_of_one_server_are_asked_about_side_by_side(world: World) -> None:
    """A member of a cluster that is lost costs many seconds, though the server answers."""
    world.slow = threading.Barrier(3, timeout=60)
    for number in range(3):
        world.add("shelf", f"shelf{number}")
    world.running.add("shelf2")
    assert [info.state for info in world.servers.targets()] == ["dead", "dead", "running"]
    assert world.asked == ["shelf"]


def test_prune_ends_what_it_can_and_tells_the_rest(world: World) -> None:
    for server in ("box", "nowhere", "shelf", "stubborn"):
        world.add(server, f"of-{server}")
    world.add("shelf", "busy")
    world.running.add("busy")
    with world.servers.once():
        assert world.servers.prune(world.end) == ("target of-shelf",)
        with pytest.raises(HostFailure) as refused:
            world.servers.link("box")
        world.servers.unsearched(refused.value)
    assert world.ended == ["of-shelf"]
    left = [entry.name for entry in world.registry.entries()]
    assert left == ["busy", "of-box", "of-nowhere", "of-stubborn"]
    assert [text.partition(" stays listed: ")[0] for text in world.told[:3]] == left[1:]
    assert world.told[0].endswith("; if that is gone for good: gtarget prune --forget of-box")
    assert world.told[3] == "nobody at box: nothing was looked for over there"
    assert world.asked.count("box") == 1


def test_a_connection_is_kept_as_long_as_it_lives(world: World) -> None:
    for _ in range(3):
        world.servers.link("shelf")
    world.lives = False
    world.servers.link("shelf")
    assert world.asked == ["shelf"] * 2


def test_what_may_run_is_neither_absent_nor_free(world: World) -> None:
    world.add("box", "one")
    for use, said in (
        (world.registry.detached, "the target one is out of reach: nobody at box"),
        (world.registry.check_free, "a target called one may run already: nobody at box"),
    ):
        _check_refused(use, said)
    with pytest.raises(UsageFailure, match="no target called two runs"):
        world.registry.detached("two")
    world.registry.check_free("two")


def _check_refused(use: Callable[[str], object], said: str) -> None:
    with pytest.raises(GbuildError) as refused:
        use("one")
    error = refused.value
    assert (type(error), error.brief, error.details) == (HostFailure, said, ("why",))
    assert error.hint == "mend it; if that is gone for good: gtarget prune --forget one"


def test_one_that_runs_is_found_beside_a_silent_one_of_its_name(world: World) -> None:
    world.add("box", "one")
    lives = world.add("shelf", "one")
    world.running.add("one")
    assert world.registry.detached("one") == lives
    with pytest.raises(UsageFailure, match="one runs already"):
        world.registry.check_free("one")


def test_only_the_server_itself_must_answer_before_something_is_taken_from_it(world: World) -> None:
    world.add("box", "far")
    near = world.add("shelf", "near")

    def used(here: str) -> bool:
        with world.servers.once():
            return world.servers.any_alive(lambda entry: entry.held != {}, here=here)

    assert not used("shelf")
    with pytest.raises(HostFailure, match="nobody at box"):
        used("box")
    world.running.add("near")
    assert used("shelf")
    world.registry.add(replace(near, held={}))
    assert not used("shelf")
