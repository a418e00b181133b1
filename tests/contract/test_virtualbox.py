"""VirtualBox machines made from images keep the contract, with a stand-in for VirtualBox.

What the stand-in cannot show, such as memory of a machine's own, is held against what VirtualBox
was told.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild.backends.virtualbox import VirtualBoxBackend
from gbuild.errors import UsageFailure
from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Machine
from gbuild.target.contract import BackendContract, Start
from gbuild.target.contract.neighbour import greet
from gbuild.target.registry import Registry

from . import every_run
from .virtualbox_image import bootable

if shutil.which("pasta") is None:
    pytest.skip("passt is not installed", allow_module_level=True)
if shutil.which("busybox") is None:
    pytest.skip("busybox-static is not installed", allow_module_level=True)

pytestmark = pytest.mark.root

PROGRAM = Path(__file__).parents[1] / "integration" / "virtualbox" / "standin" / "VBoxManage"


class TestVirtualBox(BackendContract):
    kind = VirtualBoxBackend
    files: ClassVar = every_run.files(1_000)
    options: ClassVar[Mapping[str, str]] = {"program": str(PROGRAM), "patience": "120"}
    cannot: ClassVar[Mapping[str, str]] = {
        "processes": "a machine's kernel counts them for each user"
    }

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls) -> Iterator[Mapping[str, str]]:
        """The person's VirtualBox; below /dev/shm, where an overlay can keep what it writes."""
        home = Path(tempfile.mkdtemp(prefix="gbuild-virtualbox-", dir="/dev/shm"))
        yield {
            **os.environ,
            "VBOX_USER_HOME": str(home),
            "CONTRACT_CANARY": "canary-of-the-contract",
        }
        left = _machines(home)
        for name in _machines(home, "runningvms"):
            _ask("controlvm", name, "poweroff", home=home)
        shutil.rmtree(home)
        assert left == []

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Image:
        return bootable(store, tmp_path_factory.mktemp("packages"))

    def leftovers(self, name: str, store: Store) -> set[str]:
        """Machines are named by a target's token: none may be there without an entry."""
        entries = Registry(store, "virtualbox").entries()
        known = {word for one in entries for word in (*one.held["folder"], *one.held["machine"])}
        folder = store.root / "virtualbox" / "targets"
        stray = {str(one) for one in folder.iterdir()} - known if folder.is_dir() else set()
        home = Path(os.environ["VBOX_USER_HOME"])
        clones = {one for one in _machines(home) if one.startswith("gbuild-target-")}
        return super().leftovers(name, store) | stray | (clones - known)

    def _processors_hold(self, machine: Machine) -> bool:
        """The stand-in's machines have this host's processors."""
        return b"cpus=1\n" in _info(_of(machine))

    def _memory_holds(self, machine: Machine) -> bool:
        """The stand-in's machines have this host's memory."""
        return b"memory=384\n" in _info(_of(machine))

    def test_with_sudo_the_user_becomes_root(self, start: Start) -> None:
        """Root could leave a room without a network: only with one."""
        with pytest.raises(UsageFailure, match="cannot be kept from the network"):
            start(sudo=True)
        machine = start(sudo=True, network=True)
        words = "contract-root -p -c 'id -u'; cat /etc/sudoers.d/gbuild"
        assert self.out(machine, "contract-root -p -c 'id -u'") == "0\n"
        rule = self.out(machine, words.partition("; ")[2], user="root")
        assert rule == "builder ALL=(ALL:ALL) NOPASSWD: ALL\n"
        assert machine.facts["sudo"] == "true"

    def test_before_virtualbox_7_the_gateway_is_not_this_hosts_loopback_either(
        self, backend: Backend, image: Image
    ) -> None:
        release = Path(backend.environment["VBOX_USER_HOME"], "release")
        release.write_text("6.1.50r161033\n")
        seen: list[str] = []
        try:
            older = VirtualBoxBackend(
                store=backend.store,
                environment=backend.environment,
                sink=discard,
                options=self.options,
            )
            with (
                socket.create_server(("127.0.0.1", 0)) as server,
                older.start(self.spec(image, name="older", network=True)) as machine,
            ):
                threading.Thread(target=greet, args=(server, seen.append), daemon=True).start()
                for address in ("10.0.3.2", "10.0.3.4"):
                    knock = f"timeout 5 bash -c '3<>/dev/tcp/{address}/{server.getsockname()[1]}'"
                    for user in ("builder", "root"):
                        assert self.sh(machine, knock, user=user).returncode == 1
                server.shutdown(socket.SHUT_RDWR)
        finally:
            release.unlink()
        assert seen == []

    def test_a_machine_that_is_switched_off_in_mid_build_is_told(
        self, start: Start, backend: Backend
    ) -> None:
        machine = start(name="dying")
        self.lose(machine, lambda: _ask("controlvm", _of(machine), "poweroff"))
        assert not machine.alive()
        machine.stop()
        self._assert_gone("dying", backend, "switched off")

    def test_the_machine_of_an_image_is_closed_and_kept(
        self, backend: Backend, image: Image
    ) -> None:
        (made,) = [one for one in backend.prepared() if one.key == image.key]
        name = f"gbuild-{image.environment.label}-{image.key[:12]}"
        assert b'SnapshotName="Gitian-Clean"' in _info(name)
        assert b'VMState="poweroff"' in _info(name)
        held = sorted(path.name for path in Path(made.place).iterdir())
        assert "disk.raw" not in held
        assert not Path(made.place).stat().st_mode & 0o077

    def test_what_a_killed_make_left_is_removed_and_nothing_else(
        self, backend: Backend, store: Store, tmp_path: Path
    ) -> None:
        folder = store.root / "virtualbox" / "bases" / ("f" * 64)
        folder.mkdir()
        half, other = str(uuid.uuid4()), str(uuid.uuid4())
        (folder / "base.json").write_text(json.dumps({"uuid": half, "name": "gbuild-half"}))
        for name, own, place in (("gbuild-half", half, folder), ("gbuild-x", other, tmp_path)):
            words = ("--ostype", "Linux26_64", "--uuid", own, "--basefolder", str(place))
            _ask("createvm", "--name", name, *words, "--register")
        assert str(folder) in backend.prune()
        assert not folder.exists()
        names = _machines(Path(os.environ["VBOX_USER_HOME"]))
        assert ("gbuild-half" in names, "gbuild-x" in names) == (False, True)
        _ask("unregistervm", other, "--delete")


if not every_run.FULL:  # the same whatever the backend, or seen elsewhere here
    for _name in (
        "test_odd_names_survive",
        "test_what_no_tree_may_hold_is_refused",
        "test_many_files",
        "test_a_context_ends_the_target",
        "test_what_it_says_to_vary_varies",
    ):
        setattr(TestVirtualBox, _name, None)


def _of(machine: Machine) -> str:
    return str(machine.uuid)  # type: ignore[attr-defined] # it is VirtualBox's


def _info(name: str) -> bytes:
    return _ask("showvminfo", name, "--machinereadable")


def _machines(home: Path, which: str = "vms") -> list[str]:
    return [line.split('"')[1] for line in _ask("list", which, home=home).decode().splitlines()]


def _ask(*words: str, home: Path | None = None) -> bytes:
    place = str(home or os.environ["VBOX_USER_HOME"])
    return run((PROGRAM, *words), env={"VBOX_USER_HOME": place}).stdout
