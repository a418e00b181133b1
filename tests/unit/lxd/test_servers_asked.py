"""Which server is asked for which target, and when it is told that one was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gbuild.backends.lxd import address
from gbuild.backends.lxd import backend as module
from gbuild.backends.lxd.address import Address
from gbuild.backends.lxd.backend import LxdBackend
from gbuild.backends.lxd.daemon import NotThere
from gbuild.errors import BackendFailure, Busy, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.target.registry import Entry

SILENT, CLOSED = "/run/silent", "/run/closed"
KEY = "k" * 64


class Daemon:
    """A server by its endpoint: one is silent, one lets nobody in, the others have nothing."""

    flavour, clustered, extensions = "lxd", False, frozenset[str]()

    def __init__(self, address: Address) -> None:
        self.address = address
        if address.endpoint == SILENT:
            raise BackendFailure(f"{SILENT} does not answer", hint="start it")
        if address.endpoint == CLOSED:
            raise BackendFailure(f"{CLOSED} does not trust the certificate")

    def lives(self) -> bool:
        return True

    def get(self, *path: str, doing: str, **_: object) -> Any:
        if path[1:] == ("runs",):
            return {"status": "Running"}
        if path[1:]:
            raise NotThere(f"refused to {doing}")
        return []


Make = Callable[..., LxdBackend]


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def make(tmp_path: Path, told: list[Event], monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(module, "Daemon", Daemon)
    monkeypatch.setattr(address, "_SOCKETS", (str(tmp_path / "socket"),))

    def backend(environment: dict[str, str] | None = None, **options: str) -> LxdBackend:
        return LxdBackend(
            store=Store(tmp_path), environment=environment or {}, sink=told.append, options=options
        )

    return backend


def _add(backend: LxdBackend, name: str, server: str, instance: str, *options: str) -> Entry:
    held = {"server": [server, ""], "instance": [instance], "image": [KEY], "options": options}
    entry = Entry(
        id=f"{name}~1~0badcafe", name=name, pid=1, born="", started=0, detached=True,
        user="u", host_key="", client_key="", held=held,
    )  # fmt: skip
    backend._registry.add(entry)
    return entry


def test_silent_servers_cost_the_others_nothing(make: Make, told: list[Event]) -> None:
    backend = make()
    _add(backend, "closed", CLOSED, "one")
    _add(backend, "dead", "/run/good", "gone")
    _add(backend, "lives", "/run/good", "runs")
    _add(backend, "silent", SILENT, "two")
    _add(backend, "unproved", "https://good:8443", "three", "cert=/nonexistent", "pin=" + "0" * 64)
    states = {info.name: info.state for info in backend.targets()}
    assert [name for name, state in states.items() if state == "running"] == ["lives"]
    assert len(states) == 5
    assert [event.text.partition(": its targets")[0] for event in told] == [
        f"{CLOSED} does not trust the certificate",
        f"{SILENT} does not answer",
        "https://good:8443: the client's cert cannot be read: /nonexistent",
    ]
    told.clear()
    assert backend.prune() == ("target dead",)
    kept = [event.text.partition(" stays listed: ")[0] for event in told]
    assert kept == ["closed", "silent", "unproved"]
    assert len(backend.targets()) == 4


def test_what_cannot_be_asked_is_neither_absent_nor_free(make: Make) -> None:
    backend = make()
    _add(backend, "one", SILENT, "one")
    with pytest.raises(BackendFailure, match=f"one is out of reach: {SILENT} does not answer"):
        backend.attach("one")
    with pytest.raises(BackendFailure, match=f"one may run already: {SILENT} does not answer"):
        backend._registry.check_free("one")
    with pytest.raises(UsageFailure, match="no target called two runs"):
        backend.attach("two")


def test_an_image_that_a_target_uses_stays(make: Make) -> None:
    _add(make(), "one", SILENT, "one")
    backend = make(endpoint="/run/good")
    assert not backend.discard(KEY)  # a silent server is not asked what another one may remove
    with pytest.raises(BackendFailure, match="does not answer"):
        make(endpoint=SILENT).discard(KEY)
    _add(backend, "two", "/run/good", "runs")
    with pytest.raises(Busy, match="a target uses the image"):
        backend.discard(KEY)


@pytest.mark.parametrize(
    ("given", "here", "used", "warned"),
    [
        ({}, False, True, False),  # no server here, and none was asked for
        ({}, True, False, False),  # one that this store never had to do with
        ({}, True, True, True),
        ({"LXD_SOCKET": SILENT}, False, False, True),
        ({"endpoint": SILENT}, False, False, True),
        ({"endpoint": CLOSED}, False, False, True),
    ],
)
def test_where_nothing_was_looked_for_is_told(
    make: Make,
    told: list[Event],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    given: dict[str, str],
    here: bool,
    used: bool,
    warned: bool,
) -> None:
    if here:
        monkeypatch.setattr(f"{__name__}.SILENT", str(tmp_path / "socket"))
        (tmp_path / "socket").touch()
    backend = make(given, **({} if "LXD_SOCKET" in given else given))
    if used:
        _add(backend, "one", "/run/good", "runs")
    assert backend.prune() == ()
    ends = [event.text.endswith(": nothing was looked for over there") for event in told]
    assert ends == [True] * warned


def test_new_proofs_for_a_server_reach_its_old_targets(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).touch()
    noted = {name: str(tmp_path / "old") for name in ("cert", "key")} | {"pin": "0" * 64}
    now = {name: str(tmp_path / "new") for name in ("cert", "key")} | {"pin": "1" * 64}

    def found(**options: str) -> tuple[str, str]:
        again = address.again("https://box:8443", "p", noted=noted, options=options, environment={})
        assert (again.endpoint, again.project) == ("https://box:8443", "p")
        return Path(again.cert).name, again.pin[0]

    assert found(endpoint="https://box/", **now) == ("new", "1")
    assert found(endpoint="https://other", **now) == ("old", "0")
    assert found(**now) == ("old", "0")
    assert found(endpoint="https://box", pin=now["pin"]) == ("old", "1")
