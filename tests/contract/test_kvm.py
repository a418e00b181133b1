"""Virtual machines keep the contract, on a libvirt daemon of the test's own, emulated.

Emulation is slow, and slower beside other tests: only with ``GBUILD_TEST_FULL=1``.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.backends.kvm import KvmBackend
from gbuild.errors import UsageFailure
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.target.backend import Backend, TargetSpec
from gbuild.target.contract import BackendContract, Start
from gbuild.target.registry import Registry

from . import libvirt_daemon, person
from .kvm_image import bootable

if TYPE_CHECKING:
    from tests.conftest import Common

if not os.environ.get("GBUILD_TEST_FULL"):
    pytest.skip("emulated machines are slow: GBUILD_TEST_FULL=1", allow_module_level=True)

if shutil.which("libvirtd") is None or shutil.which("qemu-system-x86_64") is None:
    pytest.skip("libvirtd or qemu is not installed", allow_module_level=True)

pytestmark = [pytest.mark.root, pytest.mark.slow]

_CLONE = Path(__file__).parents[2]
_RANDOM = "cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | sha256sum"


class TestKvm(BackendContract):
    kind = KvmBackend
    files = 1_000  # trees go the same way as on userns
    patience = 10.0  # emulation is slow, and two of it side by side are slower

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
        return super().leftovers(name, store) | stray | set(_running(str(folder), known))

    def test_what_is_restored_twice_is_not_the_same(self, start: Start) -> None:
        one, two = start(name="one"), start(name="two")
        assert {one.facts["start"], two.facts["start"]} == {"restored"}
        assert one.host_key != two.host_key
        assert self.out(one, _RANDOM) != self.out(two, _RANDOM)
        clocks = [int(self.out(machine, "printf '%(%s)T' -1")) for machine in (one, two)]
        assert abs(clocks[0] - clocks[1]) < 60 * self.patience

    def test_a_lock_without_a_kernel_is_told(self, backend: Backend, image: Image) -> None:
        bare = replace(image, environment=replace(image.environment, boot=()))
        with pytest.raises(UsageFailure, match="has no kernel") as caught:
            backend.start(self.spec(bare))
        assert caught.value.hint == "pin one: glock --boot DESCRIPTOR"


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


def _running(folder: str, known: set[str]) -> Iterator[str]:
    """Yield the command lines that name a target's folder without an entry."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended
        if folder in words and not any(one in words for one in known):
            yield words
