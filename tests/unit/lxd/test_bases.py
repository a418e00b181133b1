"""Bases on a server that is a dictionary: who may remove one, and what is left of a failed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from gbuild.backends.lxd import instance
from gbuild.backends.lxd.bases import Bases
from gbuild.backends.lxd.daemon import NotThere
from gbuild.backends.lxd.inside import compare
from gbuild.backends.lxd.place import Pool
from gbuild.errors import BackendFailure, Busy
from gbuild.host.store import Store
from gbuild.image.unified import Unified
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment

_ARCHIVE = Archive(name="debian", suite="none", sha256="0" * 64, date=1, signed_by=())
_ENVIRONMENT = Environment(
    suite="none", arch="amd64", distro="debian", request=(), archives=(_ARCHIVE,), packages=()
)
IMAGE = Image(key="k", sha256="0" * 64, recipe=0, environment=_ENVIRONMENT, tar=Path("/none"))
WANTED = Unified(fingerprint="f", size=1, sample="sample", listing="list", tree="full")
POOL = Pool(name="p", driver="btrfs")


class Server:
    """Instances and their snapshots, as far as bases go."""

    flavour, clustered = "lxd", False

    def __init__(self) -> None:
        self.instances: dict[str, dict[str, Any]] = {}
        self.snapshots: set[str] = set()

    def get(self, *path: str, **_: object) -> object:
        if path == ("instances",):
            return list(self.instances.values())
        if path[1] not in self.instances or (path[2:] and path[1] not in self.snapshots):
            raise NotThere("it is not there")
        return self.instances[path[1]]

    def ask(self, method: str, path: tuple[str, ...], *, json: Any = None, **_: object) -> None:
        match method, path:
            case "post", ("instances",):
                self.instances[json["name"]] = {**json, "status": "Stopped"}
            case "post", (_, name, "snapshots"):
                self.snapshots.add(name)
            case "put", (_, name, "state"):
                running = json["action"] == "start"
                self.instances[name]["status"] = "Running" if running else "Stopped"
            case "delete", (_, name):
                assert self.instances.pop(name)["status"] == "Stopped"
                self.snapshots.discard(name)
            case _:
                raise AssertionError((method, path))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def mine(server: Server, tmp_path: Path) -> Bases:
    return Bases(daemon=cast("Any", server), store=Store(tmp_path / "store"), mark="m")


def make(mine: Bases) -> dict[str, str]:
    return mine.source(IMAGE, WANTED, POOL, "", discard)


def test_a_base_is_not_removed_while_somebody_makes_it(
    mine: Bases, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_self: Bases, name: str, _wanted: Unified) -> None:
        with pytest.raises(Busy):
            mine.discard("k")
        assert server.instances[name]["status"] == "Running"

    monkeypatch.setattr(Bases, "_check", read)
    assert make(mine)["source"] == f"{next(iter(server.instances))}/ready"
    assert mine.discard("k")
    assert not server.instances
    assert not mine.discard("k")


def test_nothing_is_left_of_a_base_that_is_not_the_image(
    mine: Bases, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def read(_self: Bases, name: str, wanted: Unified) -> None:
        seen.append(server.instances[name]["status"])
        compare(name, wanted, "full", "another")

    monkeypatch.setattr(Bases, "_check", read)
    with pytest.raises(BackendFailure, match="is not the image"):
        make(mine)
    assert seen == ["Running"]
    assert not server.instances


def test_the_labels_of_a_base_are_those_that_are_looked_for(
    mine: Bases, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bases, "_check", lambda *_: None)
    make(mine)
    (base,) = mine.labelled()
    assert (base["config"][instance.BASE], base["config"][instance.STORE]) == ("k", "m")
    assert mine.prune(frozenset({"k"})) == ()
    assert mine.prune(frozenset()) == (f"base {base['name']}",)
    assert not server.instances
