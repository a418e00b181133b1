"""Virtual machines keep the contract, on a libvirt daemon of the test's own, emulated.

Emulation is slow, so they are restored from one saved state, and trees are small.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from gbuild.backends.kvm import KvmBackend
from gbuild.backends.kvm.domain import NAMESPACE
from gbuild.backends.kvm.library import Connection, connect
from gbuild.errors import BackendFailure, HostFailure, UsageFailure
from gbuild.host.store import Store
from gbuild.model.event import Event, Sink, discard
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Machine, TargetSpec
from gbuild.target.contract import BackendContract, Start, killed
from gbuild.target.contract.base import LIMITS
from gbuild.target.registry import Registry

from . import every_run, libvirt_daemon, person
from .kvm_image import bootable

if TYPE_CHECKING:
    from tests.conftest import Common

if shutil.which("libvirtd") is None or shutil.which("qemu-system-x86_64") is None:
    pytest.skip("libvirtd or qemu is not installed", allow_module_level=True)

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")

pytestmark = [pytest.mark.root, pytest.mark.slow]

_CLONE = Path(__file__).parents[2]
_RANDOM = "cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | sha256sum"


class TestKvm(BackendContract):
    kind = KvmBackend
    kills = 3
    files: ClassVar = every_run.files(1_000)
    patience = 5.0  # emulation is slow, and two of it side by side are slower

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def daemon(cls) -> Iterator[None]:
        with libvirt_daemon.running() as uri:
            cls.options = {"uri": uri}
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, store: Store, common: Common) -> Image:
        return bootable(common, store)

    @classmethod
    def spec(cls, image: Image, **changes: object) -> TargetSpec:
        """Those that are killed have a network: there is more to clean up."""
        if str(changes.get("name")).startswith("killed"):
            changes["network"] = True
        return super().spec(image, **changes)

    def leftovers(self, name: str, store: Store) -> set[str]:
        """Folders of targets are named by their token: none may be there without an entry."""
        entries = Registry(store, "kvm").entries()
        known = {folder for entry in entries for folder in entry.held["folder"]}
        folder = store.root / "kvm" / "targets"
        stray = {str(one) for one in folder.iterdir()} - known
        stray |= {str(half) for half in (store.root / "kvm" / "saved").glob("*~")}
        return super().leftovers(name, store) | stray | set(_running(str(folder), known))

    def test_nothing_is_left_of_a_driver_that_is_killed_while_it_saves(
        self, backend: Backend, image: Image, tmp_path: Path
    ) -> None:
        """Libvirt goes on saving, into a file that nobody will name."""
        saved = backend.store.root / "kvm" / "saved"
        count = int(os.environ.get(killed.KILLS, str(self.kills))) // 10 + 1
        with killed.drivers() as process:
            for number in range(count):
                name = f"killed-saving-{number}"
                limits = replace(LIMITS, memory=(300 + number) << 20)  # none is saved for it
                spec = self.spec(image, name=name, limits=limits)
                recipe = self._recipe(backend, spec, tmp_path, detach=number % 2 == 1)
                pid = killed.begin(process, recipe, tmp_path / "recipe")
                self._await(lambda: any(saved.glob("*~/machine")))
                time.sleep(number * 2 / count)
                killed.end(process, pid)
                self._assert_gone(name, backend, f"killed while it saved, number {number}")

    def test_what_is_restored_twice_is_not_the_same(self, machine: Machine, start: Start) -> None:
        one, two = machine, start(name="two")
        assert {one.facts["start"], two.facts["start"]} == {"restored"}
        assert one.host_key != two.host_key
        assert _port(one) != _port(two)
        assert self.out(one, _RANDOM) != self.out(two, _RANDOM)
        for each in (one, two):  # that it is set at all is seen in the next test
            shown = int(self.out(each, "printf '%(%s)T' -1"))
            assert abs(shown - time.time()) < 60 * self.patience

    def test_the_machine_is_another_one_when_asked(self, start: Start) -> None:
        later = 40_000_000
        extras = {"clock.wall": str(later), "processor.model": "Nehalem", "processors": "0"}
        machine = start(name="another", extras=extras)
        script = (
            "printf '%(%s)T ' -1; cat /sys/class/rtc/rtc0/since_epoch; nproc;"
            " grep -c Nehalem /proc/cpuinfo"
        )
        clock, hardware, processors, named = map(int, self.out(machine, script).split())
        now = time.time() + later
        for shown in (clock, hardware):
            assert now - 60 * self.patience < shown < now + 5
        assert (processors, named) == (1, 1)
        assert machine.facts["processor"] == "Nehalem"

    def test_a_lock_without_a_kernel_is_told(self, backend: Backend, image: Image) -> None:
        bare = replace(image, environment=replace(image.environment, boot=()))
        with pytest.raises(UsageFailure, match="has no kernel") as caught:
            backend.start(self.spec(bare))
        assert caught.value.hint == "pin one: glock --boot DESCRIPTOR"

    def test_prune_ends_what_carries_our_mark_and_nothing_else(
        self, backend: Backend, store: Store, tmp_path: Path
    ) -> None:
        here, elsewhere = str(store.root), str(tmp_path)
        connection = connect(self.options["uri"])
        try:
            for name, mark in (("stray", here), ("foreign", elsewhere), ("plain", None)):
                connection.createXML(_bare(name, mark), libvirt.VIR_DOMAIN_START_PAUSED)
            assert "domain of id-of-stray" in backend.prune()
            assert _named(connection) >= {"foreign", "plain"}
            assert "stray" not in _named(connection)
        finally:
            for domain in connection.listAllDomains():
                if domain.name() in ("stray", "foreign", "plain"):
                    domain.destroy()
            connection.close()

    def test_a_daemon_that_dies_in_mid_build_takes_the_target_along(
        self, backend: Backend, image: Image, store: Store
    ) -> None:
        with libvirt_daemon.started() as daemon:
            own = self._on(daemon.uri, backend)
            machine = own.start(self.spec(image, name="bereft"))
            with self.target(machine) as target:
                words = ["sh", "-c", "echo; exec sleep 3600"]
                with pytest.raises(BackendFailure, match="lost the connection"):
                    target.run(words, user="builder", on_output=lambda *_: daemon.kill())
            with pytest.raises(HostFailure, match="libvirt does not answer"):
                own.start(self.spec(image, name="late"))
            assert "bereft" not in [one.name for one in own.targets() if one.state == "running"]
            [entry] = [one for one in Registry(store, "kvm").entries() if one.name == "bereft"]
            self._await(lambda: not [*_running(entry.held["folder"][0], set())])  # ends itself
            daemon.start()
            assert "target bereft" in own.prune()
            assert self.leftovers("bereft", store) == set()

    def test_a_full_disk_ends_the_target(self, backend: Backend, image: Image) -> None:
        """Rather than let it go on with something else than it wrote."""
        place = backend.store.root / "kvm" / "targets"
        mount = ("-t", "tmpfs", "-o", "size=40m,mode=711", "gbuild-test", place)
        subprocess.run(("mount", *mount), check=True)
        try:
            with libvirt_daemon.started() as daemon:  # sees what was mounted before
                told: list[Event] = []
                own = self._on(daemon.uri, backend, told.append)
                machine = own.start(self.spec(image, name="crowded"))
                words = ["sh", "-c", "head -c 200M /dev/zero >big; sleep 3600"]
                with (
                    self.target(machine) as target,
                    pytest.raises(BackendFailure, match="lost the connection"),
                ):
                    target.run(words, user="builder")
                said = "what crowded writes finds no room on this host: it is ended"
                assert said in [one.text for one in told if one.kind == "warning"]
                assert not machine.alive()
                machine.stop()
            assert list(place.iterdir()) == []
        finally:
            subprocess.run(("umount", place), check=True)

    def _await(self, what: Callable[[], bool]) -> None:
        until = time.monotonic() + 60 * self.patience
        while not what():
            assert time.monotonic() < until
            time.sleep(0.1)

    def _on(self, uri: str, backend: Backend, sink: Sink = discard) -> Backend:
        """Return the backend on another daemon."""
        options = {**self.options, "uri": uri}
        return KvmBackend(
            store=backend.store, environment=backend.environment, sink=sink, options=options
        )


def test_gbase_lists_and_removes_the_disks(open_folder: Path, common: Common) -> None:
    store = Store(open_folder / "store")
    image = bootable(common, store)
    with libvirt_daemon.running() as uri:
        options = {"uri": uri}
        KvmBackend(store=store, environment=os.environ, sink=discard, options=options).prepare(
            image
        )

        def gbase(*words: str) -> Any:
            own = ("--backend", "kvm", "--backend-option", f"uri={uri}", "--store", str(store.root))
            argv = (sys.executable, "-m", "gbuild.cli.gbase", *words, *own, "--json")
            return json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)

        [disk] = gbase("list")["prepared"]
        assert (disk["backend"], disk["key"]) == ("kvm", image.key)
        assert gbase("remove", image.key)["removed"] == [image.key]
        assert gbase("list")["prepared"] == []
        assert gbase("prune", "--all")["removed"] == []


def test_an_ordinary_user_needs_no_root(open_folder: Path, common: Common) -> None:
    with person.made(open_folder) as someone:
        store = Store(someone.home / "store")
        image = bootable(common, store)
        path = someone.home / "image"
        path.write_bytes(pickle.dumps(image))
        for place, folders, files in os.walk(someone.home):
            for name in (*folders, *files):
                os.chown(os.path.join(place, name), someone.uid, someone.uid)
        done = someone.run(
            sys.executable,
            "-m",
            "tests.contract.kvm_person",
            store.root,
            path,
            env={"PYTHONPATH": os.pathsep.join(map(str, (_CLONE, _CLONE / "src")))},
        )
        assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["said"] == "builder\n"
    assert seen["left"] == []
    assert seen["facts"]["uri"] == "qemu:///session"
    assert seen["facts"]["network"] == "passt"


def _port(machine: Machine) -> int:
    with machine.connect() as stream:
        port: int = stream.getpeername()[1]
        return port


def _bare(name: str, store: str | None) -> str:
    """Describe a domain that never runs, with our mark or without one."""
    mark = "" if store is None else (
        f'<metadata><gbuild:target xmlns:gbuild="{NAMESPACE}" store="{store}"'
        f' id="id-of-{name}"/></metadata>'
    )  # fmt: skip
    return (
        f'<domain type="qemu"><name>{name}</name>{mark}<memory unit="MiB">32</memory>'
        '<os><type arch="x86_64" machine="pc">hvm</type></os>'
        '<devices><memballoon model="none"/></devices></domain>'
    )


def _named(connection: Connection) -> set[str]:
    return {domain.name() for domain in connection.listAllDomains()}


def _running(folder: str, known: set[str]) -> Iterator[str]:
    """Yield the command lines that name a target's folder without an entry."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended
        if folder in words and not any(one in words for one in known):
            yield words
