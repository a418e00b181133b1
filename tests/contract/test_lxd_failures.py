"""What goes wrong on a server of LXD is told with what to do, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest

from gbuild.backends.lxd import LxdBackend, images
from gbuild.backends.lxd import backend as backend_module
from gbuild.backends.lxd.address import Address
from gbuild.backends.lxd.daemon import Daemon
from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.target.backend import Limits, TargetSpec
from gbuild.target.registry import Entry, Registry, new_id
from gbuild.target.shell import Target

from . import lxd_server
from .lxd_server import Server

if shutil.which("lxd") is None:
    pytest.skip("lxd is not installed", allow_module_level=True)

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.backend("lxd")]

Make = Callable[..., LxdBackend]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with lxd_server.running() as server:
        yield server


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def make(server: Server, store: Store, image: Image, told: list[Event]) -> Iterator[Make]:
    """Make backends with options; at the end their server must have no target any more."""
    environment = {**os.environ, **server.variables}

    def backend(**options: str) -> LxdBackend:
        return LxdBackend(store=store, environment=environment, sink=told.append, options=options)

    yield backend
    assert [name for name in server.instances() if not name.startswith("gbuild-base-")] == []
    assert backend().targets() == ()


def _spec(image: Image, **changes: object) -> TargetSpec:
    plain = TargetSpec(name="bad", image=image, user="builder", limits=Limits(disk=64 << 20))
    return replace(plain, **changes)  # type: ignore[arg-type] # the caller's are a spec's


def _steps(told: list[Event]) -> list[str]:
    return [event.text.partition(" ")[0] for event in told if event.kind == "step"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("pool", "Storage pool not found"),
        ("network", "Network not found"),
        ("profile", "Profile not found"),
        ("project", "Project not found"),
    ],
)
def test_what_is_not_there_is_named(option: str, said: str, make: Make, image: Image) -> None:
    make().prepare(image)
    with pytest.raises(BackendFailure) as refused:
        make(**{option: "nowhere"}).start(_spec(image, network=True))
    assert said in refused.value.details[0]
    assert f"--backend-option {option}=" in (refused.value.hint or "")


def test_a_member_needs_a_cluster(make: Make, image: Image) -> None:
    with pytest.raises(BackendFailure, match="is no cluster"):
        make(target="m1").start(_spec(image))


def test_another_architecture_is_refused(make: Make, image: Image) -> None:
    foreign = replace(image, key="f" * 64, environment=replace(image.environment, arch="arm64"))
    backend = make()
    with pytest.raises(BackendFailure) as refused:
        backend.start(_spec(foreign))
    assert "isn't supported by this host" in refused.value.details[0]
    assert "a server of the image's architecture" in (refused.value.hint or "")
    assert backend.discard(foreign.key)


def test_what_was_deleted_behind_our_back_is_made_anew(
    make: Make, server: Server, image: Image, told: list[Event]
) -> None:
    make().prepare(image)
    told.clear()
    fingerprint = make().prepared()[0].place.split()[-1]
    server.lxc("image", "delete", fingerprint)
    (base,) = server.instances()
    server.lxc("delete", base)
    with make().start(_spec(image)) as machine:
        assert machine.alive()
    assert _steps(told) == ["importing", "preparing"]


def test_a_changed_base_is_found(make: Make, server: Server, image: Image) -> None:
    make().prepare(image)
    (base,) = server.instances()
    kept = server.folder / "storage-pools/default/containers-snapshots" / base / "ready"
    _btrfs("property", "set", "-ts", kept, "ro", "false")
    (kept / "rootfs/etc/passwd").chmod(0o600)
    with pytest.raises(BackendFailure, match="is not the image that was imported") as found:
        make().start(_spec(image))
    assert "gbase prune" in (found.value.hint or "")
    assert make().discard(image.key)
    with make().start(_spec(image)) as machine:
        assert machine.facts["image_tree"].startswith("list ")


def test_prune_removes_what_has_our_label_and_nothing_else(
    make: Make, server: Server, store: Store, image: Image
) -> None:
    backend = make()
    backend.prepare(image)
    fingerprint = backend.prepared()[0].place.split()[-1]
    mine = f"user.gbuild.store={images.store_id(store)}"
    theirs = "user.gbuild.store=0123"
    dead, lost = "user.gbuild.id=bad~1~00000000", f"user.gbuild.base={'e' * 64}"
    for name, *labels in (
        ("left", mine, dead), ("half", mine, f"user.gbuild.base={image.key}"),
        ("useless", mine, lost), ("other", theirs, dead), ("plain",),
    ):  # fmt: skip
        server.lxc("init", fingerprint, name, *(f"--config={label}" for label in labels))
    before = set(server.instances())
    removed = backend.prune()
    assert set(removed) == {"instance left", "base half", "base useless"}
    assert before - set(server.instances()) == {"left", "half", "useless"}
    server.lxc("delete", "other", "plain")


def test_a_target_is_not_detached_before_it_is_whole(
    make: Make, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or one whose maker was killed would be taken for a target that somebody keeps."""
    noted: list[bool] = []
    add = Registry.add

    def note(registry: Registry, entry: Entry) -> None:
        noted.append(entry.detached)
        add(registry, entry)

    monkeypatch.setattr(Registry, "add", note)
    backend = make()
    backend.detach(_spec(image, name="kept"))
    backend.attach("kept").stop()
    assert noted == [False, True]


@pytest.mark.parametrize("how", ["killed", "exits"])
def test_a_target_ends_with_its_process(how: str, make: Make, server: Server, image: Image) -> None:
    make().prepare(image)
    (base,) = server.instances()
    pid, said, order = _driver(make(), _spec(image))
    try:
        assert said.read(5) == b"alive"
        time.sleep(1)  # it does not end before its process does
        assert len(server.instances()) == 2
        if how == "exits":
            order.write(b"\n")
        else:
            os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (0 if how == "exits" else -9)
        until = time.monotonic() + 120
        while server.instances() != [base] and time.monotonic() < until:
            time.sleep(0.2)
        assert server.instances() == [base]
    finally:
        said.close()
        order.close()  # it exits then
        make().prune()  # forgets the target


def _driver(backend: LxdBackend, spec: TargetSpec) -> tuple[int, FileIO, FileIO]:
    """Start a target in another process, which says that it is alive and exits when told to."""
    said, says = os.pipe()
    hears, order = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(order)
            machine = backend.start(spec)
            os.write(says, b"alive" if machine.alive() else b"ended")
            os.read(hears, 1)
            code = 0
        finally:
            os._exit(code)  # nothing of the test-suite's own may run
    os.close(says)
    os.close(hears)
    return pid, FileIO(said), FileIO(order, "w")


def test_a_full_pool_is_told(make: Make, server: Server, image: Image) -> None:
    server.lxc("storage", "create", "tiny", "btrfs", "size=115MiB")
    place = server.folder / "storage-pools/tiny"
    filler = place / "filler"
    try:
        with pytest.raises(OSError, match="No space left"):
            _fill(filler)
        with pytest.raises(BackendFailure) as full:
            make(pool="tiny").start(_spec(image))
        assert "no space left" in " ".join(full.value.details).lower()
        assert "--backend-option pool=" in (full.value.hint or "")
        filler.unlink()
        with make(pool="tiny").start(_spec(image)) as machine:
            assert machine.alive()
    finally:
        assert make().discard(image.key)
        filler.unlink(missing_ok=True)
        server.lxc("storage", "delete", "tiny")


def test_a_pool_that_copies_everything_serves_too(
    make: Make, server: Server, image: Image, told: list[Event]
) -> None:
    server.lxc("storage", "create", "plain", "dir")
    try:
        backend = make(pool="plain")
        for check in ("full", "list"):
            with backend.start(_spec(image)) as machine, Target(machine) as target:
                assert target.run(["id", "-un"], user="builder").stdout == b"builder\n"
                assert machine.facts["image_tree"].startswith(f"{check} ")
        assert "unlimited (a dir pool" in next(e.text for e in told if e.kind == "warning")
        assert "preparing" not in _steps(told)
        (pool,) = [one for one in backend.probe() if one.what == "storage pool"]
        assert (pool.state, pool.mend) == ("limited", "lxc storage create NAME btrfs")
    finally:
        assert make().discard(image.key)
        server.lxc("storage", "delete", "plain")


def test_a_daemon_that_dies_in_mid_build_is_told(make: Make, server: Server, image: Image) -> None:
    machine = make().start(_spec(image))
    words = ["bash", "-c", "echo here; sleep 600"]
    with Target(machine) as target, pytest.raises(BackendFailure, match="lost the connection"):
        target.run(words, timeout=120, on_output=lambda *_: server.crash())
    assert not machine.alive()
    for use in (machine.stop, lambda: make().start(_spec(image))):
        with pytest.raises(BackendFailure, match="does not answer") as down:
            use()
        assert "gdoctor tries it" in (down.value.hint or "")
    server.revive()
    machine.stop()


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Another server, which gets half a second to say who it is; it is dead at the end."""
    with lxd_server.running("dir") as second:

        class Hasty(Daemon):
            def __init__(self, address: Address) -> None:
                hurry = address.endpoint == str(second.socket)
                super().__init__(address, **({"greeting": 0.5} if hurry else {}))

        monkeypatch.setattr(backend_module, "Daemon", Hasty)
        try:
            yield second
        finally:
            second.crash()


def test_a_server_that_is_frozen_or_dead_costs_another_ones_targets_nothing(
    make: Make, second: Server, store: Store, image: Image, told: list[Event]
) -> None:
    make().detach(_spec(image, name="near"))
    registry = Registry(store, "lxd")
    (near,) = registry.entries()
    there = {**near.held, "server": [str(second.socket), ""]}
    registry.add(far := replace(near, id=new_id("far"), name="far", held=there))
    silent = f"the LXD or Incus daemon at {second.socket} does not answer"
    try:
        second.process.send_signal(signal.SIGSTOP)
        _check_states(make(), told, silent)
        second.crash()
        _check_states(make(), told, silent)
        with pytest.raises(BackendFailure, match=f"the target far is out of reach: {silent}"):
            make().attach("far")
        told.clear()
        assert make().prune() == ()
        assert [one.text.partition(";")[0] for one in told] == [f"far stays listed: {silent}"]
    finally:
        registry.remove(far.id)
        make().attach("near").stop()


@pytest.mark.parametrize("said", ["[]", '{"type": "sync"}', '{"type": "sync", "metadata": []}'])
def test_a_server_that_says_nonsense_of_itself_is_told(said: str, tmp_path: Path) -> None:
    place = tmp_path / "socket"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(place))
        listening.listen()
        listening.settimeout(60)

        def serve() -> None:
            listening.accept()[0].close()  # it looks first whether anybody is there
            with listening.accept()[0] as link:
                link.recv(1 << 16)
                link.sendall(head + said.encode())

        with ThreadPoolExecutor(1) as beside:
            served = beside.submit(serve)
            with pytest.raises(BackendFailure, match="nonsense when asked to say who it is"):
                Daemon(Address(endpoint=str(place)))
            served.result()


def _check_states(backend: LxdBackend, told: list[Event], silent: str) -> None:
    told.clear()
    states = [(one.name, one.state) for one in backend.targets()]
    assert states == [("far", "dead"), ("near", "running")]
    (warning,) = told
    assert warning.text == f"{silent}: its targets are shown as dead, prune keeps them"


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(os.urandom(1 << 20))


def _btrfs(*words: str | Path) -> None:
    subprocess.run(("btrfs", *words), check=True, capture_output=True)
