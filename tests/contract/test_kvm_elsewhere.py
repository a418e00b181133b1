"""Virtual machines of another host: one that SSH reaches, with a libvirt of its own.

The other host is this one, seen through an SSH server in the mount namespace of a libvirt daemon of
the test's own. One machine boots in every run; the contract takes ``GBUILD_TEST_FULL=1``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gbuild.backends.kvm import KvmBackend, content
from gbuild.backends.kvm.hypervisor import ours
from gbuild.backends.kvm.library import Connection, answered, connect
from gbuild.backends.kvm.site import Made
from gbuild.backends.kvm.volumes import Volumes, Why
from gbuild.errors import BackendFailure, Busy, HostFailure, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event, discard
from gbuild.model.image import Image
from gbuild.target.backend import TargetSpec
from gbuild.target.contract import BackendContract, Start, small_image
from gbuild.target.contract.neighbour import Outside
from gbuild.target.shell import Target

from . import libvirt_daemon, person, ssh_server
from .kvm_image import bootable
from .libvirt_daemon import Daemon
from .ssh_server import Server

if TYPE_CHECKING:
    from tests.conftest import Common

if shutil.which("libvirtd") is None or shutil.which("qemu-system-x86_64") is None:
    pytest.skip("libvirtd or qemu is not installed", allow_module_level=True)

if not ssh_server.SSHD.exists():
    pytest.skip("openssh-server is not installed", allow_module_level=True)

pytest.importorskip("libvirt", reason="libvirt-python is not installed")

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.backend("kvm")]

_READY = 600.0
_SIZE = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """The other host."""

    daemon: Daemon
    server: Server

    def pool(self, name: str, *options: str) -> Path:
        """Mount a folder over there, as its administrator would, and return it."""
        folder = Path("/var/lib/libvirt") / name
        self.do("mkdir", "-p", folder)
        self.do("mount", "-t", "tmpfs", *options, "gbuild-test", folder)
        return folder

    def do(self, *words: str | Path) -> bytes:
        """Run a command over there."""
        done = subprocess.run((*self.daemon.inside, *words), check=True, capture_output=True)
        return done.stdout


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    with libvirt_daemon.started() as daemon, ssh_server.running(daemon.inside) as server:
        yield Far(daemon=daemon, server=server)


@pytest.fixture
def connection(far: Far) -> Iterator[Connection]:
    """What an administrator over there sees."""
    connection = connect(far.daemon.uri)
    yield connection
    connection.close()


Make = Callable[..., KvmBackend]


@pytest.fixture(scope="module")
def make(far: Far, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make backends on the other host; each has a store of its own unless it is given one."""

    def begin(store: Store | None = None, told: list[Event] | None = None, **options: str) -> Any:
        return KvmBackend(
            store=store or Store(tmp_path_factory.mktemp("store")),
            environment=os.environ,
            sink=discard if told is None else told.append,
            options={"uri": far.server.uri(), "memory": "512", **options},
        )

    return begin


@pytest.fixture(scope="module")
def backend(make: Make) -> KvmBackend:
    """A backend that is connected once."""
    return make()


@pytest.fixture
def volumes(backend: KvmBackend) -> Iterator[Volumes]:
    """Its volumes, in a pool that libvirt over there has made."""
    volumes = _volumes(backend)
    yield volumes
    for name in volumes.names():
        volumes.remove(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with something at its beginning, in its middle and at its end."""
    path = tmp_path / "file"
    with path.open("wb") as out:
        for offset in (0, _SIZE // 2 - 1, _SIZE - 9):
            out.seek(offset)
            out.write(os.urandom(9))
    return path


def test_what_was_sent_is_there_and_not_sent_again(volumes: Volumes, far: Far, file: Path) -> None:
    sent: list[Why] = []
    places = [_send(volumes, file, sent) for _ in range(2)]
    assert sent == ["missing"]
    assert places[0] == places[1]
    [note] = volumes.notes()
    assert (note.kind, note.key, note.label) == ("disk", "key", "label")
    assert note.name.endswith(content.digest_of(file))
    far.do("cmp", file, places[0])
    taken = int(far.do("du", "--block-size=1", places[0]).split()[0])
    assert taken < _SIZE // 4
    assert volumes.remove(note.name)
    assert not volumes.names()
    assert not volumes.notes()


@pytest.mark.parametrize(
    ("change", "how"),
    [
        ('echo x | dd of="$1" conv=notrunc status=none; touch -d yesterday "$1"', "changed"),
        ('chmod 666 "$1"', "changed"),
        ('rm "$1"', "missing"),
    ],
)
def test_what_was_changed_over_there_is_sent_again(
    volumes: Volumes, far: Far, connection: Connection, file: Path, change: str, how: Why
) -> None:
    sent: list[Why] = []
    place = _send(volumes, file, sent)
    far.do("sh", "-c", change, "sh", place)
    if how == "missing":  # as when its administrator removed it by libvirt
        connection.storagePoolLookupByName("gbuild").refresh(0)
    assert _send(volumes, file, sent) == place
    assert sent == ["missing", how]
    far.do("cmp", file, place)


def test_what_arrives_as_something_else_is_not_kept(volumes: Volumes, file: Path) -> None:
    with pytest.raises(BackendFailure, match="does not give back the disk"):
        _send(volumes, file, [], digest="0" * 64)
    assert volumes.names() == ()


def test_a_connection_that_dies_in_the_middle_leaves_nothing(
    volumes: Volumes, far: Far, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path) -> Iterator[tuple[int, bytes]]:
        for block in _blocks(path):
            yield block
            far.server.drop()

    _blocks, digest = content.blocks, content.digest_of(file)
    monkeypatch.setattr(content, "blocks", cut)
    with pytest.raises(BackendFailure, match=r"could not be sent to 127\.0\.0\.1"):
        _send(volumes, file, [], digest=digest)
    assert volumes.names() == ()


def test_a_question_that_is_cut_off_is_asked_again(
    backend: KvmBackend, connection: Connection, far: Far
) -> None:
    asked = []

    def question(connection: Connection) -> object:
        asked.append(connection)
        if len(asked) == 1:
            far.server.drop()
        return ours(connection)

    assert answered(lambda: backend._connection(backend.uri), question) == ours(connection)
    assert len(asked) == 2


def test_a_full_pool_is_told_and_nothing_stays(make: Make, far: Far, tmp_path: Path) -> None:
    far.pool("small", "-o", "size=2m,mode=711")
    path = tmp_path / "large"
    path.write_bytes(os.urandom(6 << 20))
    volumes = _volumes(make(pool="small"))
    with pytest.raises(BackendFailure, match="has no room left") as caught:
        _send(volumes, path, [])
    assert "--backend-option pool=OTHER" in (caught.value.hint or "")
    assert volumes.names() == ()


def test_a_host_that_gives_no_pool_says_what_would(
    make: Make, far: Far, connection: Connection
) -> None:
    far.do("touch", "/var/lib/libvirt/blocked")
    with pytest.raises(HostFailure, match="gives no storage pool blocked") as caught:
        _volumes(make(pool="blocked"))
    assert "virsh pool-define-as blocked dir" in (caught.value.hint or "")
    assert "blocked" not in [one.name() for one in connection.listAllStoragePools()]


def test_prune_removes_what_is_ours_and_half_or_nobodys(
    backend: KvmBackend, volumes: Volumes, make: Make, file: Path, connection: Connection
) -> None:
    mine, other = volumes, _volumes(make())
    _send(mine, file, [])
    half = f"{mine._beginning}disk-half"
    mine._create(half, size=1, mode="0600")
    mine.make("lost", "disk", size=1, owner=None)
    other.make("known-to-others", "disk", size=1, owner=None)
    with backend.store.lock(f"kvm-{half}"):  # it is being sent just now
        lost = mine.name("lost", "disk")
        assert backend.prune() == (f"volume {lost} of 127.0.0.1",)
    assert backend.prune() == (f"volume {half} of 127.0.0.1",)
    assert backend.prune() == ()
    assert len(mine.names()) == 1
    assert set(_names(connection)) >= {*mine.names(), *other.names()}
    assert other.remove(other.name("known-to-others", "disk"))


def test_images_are_listed_and_removed_over_there(backend: KvmBackend, volumes: Volumes) -> None:
    image = small_image(backend.store)
    disk = backend._pieces.disk(image)
    assert [one.place for one in backend.prepared()] == [str(disk.parent)]
    digest = content.digest_of(disk)
    volumes.send(
        disk, "disk", digest=digest, key=image.key, label="none-amd64", mode="0444",
        before=lambda _: None,
    )  # fmt: skip
    [one] = backend.prepared()
    assert (one.key, one.label) == (image.key, "none-amd64")
    assert one.place.startswith("127.0.0.1: gbuild/gbuild-")
    with backend.store.lock(f"kvm-disks-{image.key}"), pytest.raises(Busy):
        backend.discard(image.key)
    assert backend.discard(image.key)
    assert not backend.discard(image.key)
    assert not backend.prepared()
    assert not volumes.names()


@pytest.mark.parametrize(
    ("known", "key", "words", "mend"),
    [
        ("stranger", "key", "another SSH host key", "ssh-keygen -R '[127.0.0.1]:"),
        (None, "key", "host key of 127.0.0.1 is not known", "once by hand"),
        ("host", "stranger", "lets no SSH key of yours in", "ssh-copy-id -p"),
    ],
)
def test_who_is_not_let_in_is_told_why(
    make: Make, far: Far, known: str | None, key: str, words: str, mend: str
) -> None:
    backend = make(uri=far.server.uri(key=key))
    try:
        (far.server.folder / "known").unlink() if known is None else far.server.know(known)
        with pytest.raises(HostFailure, match=words) as caught:
            backend.prepared()
        found = next(one for one in backend.probe() if one.what == "libvirt")
    finally:
        far.server.know()
    assert mend in (caught.value.hint or "")
    assert (found.state, found.mend) == ("missing", caught.value.hint)
    assert caught.value.exit_code == 3


def test_a_host_without_libvirt_says_what_it_needs(make: Make, far: Far) -> None:
    uri = f"{far.server.uri()}&socket=/nonexistent&proxy=netcat&netcat=false"
    with pytest.raises(HostFailure, match="libvirt does not answer at qemu") as caught:
        make(uri=uri).prepared()
    assert (caught.value.hint or "").startswith("over there: ")


def test_the_other_host_is_asked_what_it_can(backend: KvmBackend) -> None:
    found = {one.what: one for one in backend.probe()}
    assert found["libvirt"].detail == "qemu+ssh:///system of 127.0.0.1"
    assert found["qemu-system-x86_64"].state == "ok"
    assert found["network"].state == "limited"
    assert "qemu-img" not in found


def test_a_machine_of_another_host_works_and_leaves_nothing(
    make: Make, far: Far, connection: Connection, store: Store, common: Common
) -> None:
    """One boot: it works, a connection that is lost takes nothing else along, and it goes."""
    image, told = bootable(common, store), list[Event]()
    backend = make(store=store, told=told)
    with pytest.raises(UsageFailure, match="have no network"):
        backend.start(_spec(image, network=True))
    assert backend.targets() == ()
    machine = backend.start(_spec(image))
    [entry] = backend._targets.registry.entries()
    assert machine.facts["uri"] == "qemu+ssh:///system"
    assert {mark[1] for mark in ours(connection).values()} == {entry.id}
    assert _own(connection) == set(entry.held["volumes"])
    with pytest.raises(Busy):
        backend.discard(image.key)
    _check_unseen(far, lambda sink: make(store=store, told=sink))
    with Target(machine, ready=_READY) as target:
        done = target.run(["sh", "-c", "id -un; cat /proc/net/dev"], user="builder")
        assert done.stdout.startswith(b"builder\n")
        assert b"eth" not in done.stdout
        words = ["sh", "-c", "echo; exec sleep 3600"]
        with pytest.raises(BackendFailure, match="lost the connection"):
            target.run(words, user="builder", on_output=lambda *_: far.server.drop())
    machine.stop()
    assert backend.targets() == ()
    assert backend.prune() == ()
    assert ours(connection) == {}
    assert _own(connection) == set()
    assert [one.text for one in told if one.kind == "warning"] == []
    assert backend.discard(image.key)
    assert _volumes(backend).names() == ()


def test_a_persons_own_libvirt_keeps_volumes_with_their_data(
    make: Make, open_folder: Path, file: Path
) -> None:
    with person.made(open_folder) as someone, ssh_server.running() as server:
        person.accounts("usermod", "--password", "*", someone.name)  # sshd refuses locked ones
        backend = make(uri=server.uri("session", user=someone.name))
        volumes = _volumes(backend)
        place = _send(volumes, file, [], mode="0600")
        assert place.parent == someone.home / ".local/share/libvirt/gbuild"
        assert place.stat().st_uid == someone.uid
        assert content.digest_of(place) == content.digest_of(file)
        site: Any = backend._site
        assert site.owner("qemu") is None
        names = site.held("token")["volumes"]
        site.own("token", Made(kernel=place, initrd=place, disk=place), None)
        assert set(names) < set(volumes.names())
        assert backend.prune() == tuple(f"volume {name} of 127.0.0.1" for name in sorted(names))


def _check_unseen(far: Far, make: Callable[[list[Event]], KvmBackend]) -> None:
    """Where nobody lets us in, targets are shown as dead, which is told, and nothing is removed."""
    told: list[Event] = []
    blind = make(told)
    far.server.know("stranger")
    try:
        assert [one.state for one in blind.targets()] == ["dead"]
        assert blind.prune() == ()
    finally:
        far.server.know()
    listed, kept, searched = (one.text for one in told)
    assert listed.endswith(": its targets are shown as dead, prune keeps them")
    assert " stays listed: " in kept
    assert "gtarget prune --forget " in kept
    assert searched.endswith(": nothing was looked for over there")
    assert [one.state for one in blind.targets()] == ["running"]


def _volumes(backend: KvmBackend) -> Volumes:
    site: Any = backend._site
    found: Volumes = site._volumes
    return found


def _names(connection: Connection) -> list[str]:
    pool = connection.storagePoolLookupByName("gbuild")
    return [one.name() for one in pool.listAllVolumes()]


def _own(connection: Connection) -> set[str]:
    """Return the volumes that belong to single targets."""
    return {name for name in _names(connection) if "-run-" in name}


def _spec(image: Image, **changes: object) -> TargetSpec:
    plain = TargetSpec(name="far", image=image, user="builder")
    return replace(plain, **changes)  # type: ignore[arg-type] # the caller's are a spec's


def _send(
    volumes: Volumes,
    path: Path,
    sent: list[Why],
    *,
    digest: str | None = None,
    mode: str = "0444",
) -> Path:
    return volumes.send(
        path,
        "disk",
        digest=digest or content.digest_of(path),
        key="key",
        label="label",
        mode=mode,
        before=sent.append,
    )


@pytest.mark.skipif(
    not os.environ.get("GBUILD_TEST_FULL"), reason="emulated machines are slow: GBUILD_TEST_FULL=1"
)
class TestKvmElsewhere(BackendContract):
    kind = KvmBackend
    kills = 3
    files = 1_000  # trees go the same way as on userns
    patience = 8.0  # each machine boots

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def host(cls, far: Far) -> None:
        cls.options = {"uri": far.server.uri(), "memory": "512"}

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, store: Store, common: Common) -> Image:
        return bootable(common, store)

    def test_with_a_network_the_outside_is_reached_until_it_is_cut(
        self, start: Start, outside: Outside
    ) -> None:
        """There is none over there, which is told."""
        del outside
        with pytest.raises(UsageFailure, match="have no network"):
            start(name="online", network=True)
