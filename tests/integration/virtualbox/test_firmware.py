"""The disk of a machine boots by EFI firmware alone, in QEMU: with ``GBUILD_TEST_FULL=1``.

The controller and the cards are of the kinds that VirtualBox gives: IDE, virtio as it was before
version 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tests.contract.kvm_image import bootable

from gbuild.backends.virtualbox import hardware, ports, room
from gbuild.backends.virtualbox.bases import Base, Bases
from gbuild.backends.virtualbox.machine import VirtualBoxMachine
from gbuild.backends.virtualbox.manage import Info, Manage
from gbuild.backends.virtualbox.way import Way
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.target.backend import Limits, TargetSpec
from gbuild.target.guest import Guest
from gbuild.target.registry import Entry, Registry, new_id
from gbuild.target.shell import Target

if TYPE_CHECKING:
    from tests.conftest import Common

if not os.environ.get("GBUILD_TEST_FULL"):
    pytest.skip("emulated machines are slow: GBUILD_TEST_FULL=1", allow_module_level=True)

_FIRMWARE = Path("/usr/share/OVMF")

if shutil.which("qemu-system-x86_64") is None or not _FIRMWARE.is_dir():
    pytest.skip("qemu or ovmf is not installed", allow_module_level=True)

pytestmark = [pytest.mark.root, pytest.mark.slow]


class _Hypervisor:
    """In VirtualBox's place: is told to pull a cable."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def ask(self, *words: str) -> str:
        self.told.append(words)
        return ""

    def find(self, name: str) -> Info:
        return Info({"UUID": name, "name": name, "VMState": "running"})


def test_the_disk_boots_and_holds_a_target(common: Common, open_folder: Path) -> None:
    store = Store(open_folder / "store")
    image = bootable(common, store)
    base = Base(open_folder, "uuid", "name")
    hypervisor = _Hypervisor()
    manage = cast("Manage", hypervisor)
    disk = open_folder / "disk.raw"
    Bases(manage, store, os.environ, discard)._disk(image, base, disk)
    spec = TargetSpec(
        name="efi", image=image, user="builder", network=True, limits=Limits(disk=64 << 20)
    )
    guest = Guest.of(spec)
    with _running(disk, open_folder) as port:
        way = Way(port=port, key=base.key, known=base.known, alias=base.alias, pinned=True)
        way.wait(lambda: True, timeout=600)
        room.prepare(way, spec, guest)
        held = {"machine": ["uuid", "name"], "folder": [], "server": room.server(spec)}
        entry = Entry.begun(new_id("efi"), "efi", guest, held=held)
        registry = Registry(store, "virtualbox")
        machine = VirtualBoxMachine(
            entry, manage, way, registry, cut=partial(room.cut, manage, "uuid", way)
        )
        with Target(machine, ready=300) as target:

            def out(script: str) -> str:
                done = target.run(["bash", "-c", script], user="builder", timeout=300)
                return (done.stdout + done.stderr).decode()

            assert out("id -un; hostname; pwd").split() == ["builder", "gitian", "/home/builder"]
            assert _cards(out("cat /proc/net/dev")) == {"lo", "out0"}
            assert "Permission denied" in out("exec 3<>/dev/tcp/10.0.3.2/22")
            assert "had it" not in out("head -c 90M /dev/zero > big && echo had it; rm -f big")
            assert out("contract-root -p -c 'id -u'").strip() != "0"
            machine.cut_network()
            assert "unreachable" in out("exec 3<>/dev/tcp/10.0.3.3/53")
    assert hypervisor.told == [("controlvm", "uuid", "setlinkstate2", "off")]


def _cards(listed: str) -> set[str]:
    return {line.partition(":")[0].strip() for line in listed.splitlines()[2:]}


@contextmanager
def _running(disk: Path, folder: Path) -> Iterator[int]:
    """Run a machine with a disk; yields the port that leads to its SSH server."""
    port = ports.free(())
    variables = folder / "variables.fd"
    shutil.copy(_FIRMWARE / "OVMF_VARS_4M.fd", variables)
    code = f"if=pflash,format=raw,readonly=on,file={_FIRMWARE / 'OVMF_CODE_4M.fd'}"
    old = "virtio-net-pci,disable-modern=on,romfile="
    words = (
        *("qemu-system-x86_64", "-machine", "pc", "-m", "1024", "-smp", "2", "-cpu", "max"),
        *("-accel", "tcg", "-display", "none", "-serial", f"file:{folder / 'console'}"),
        *("-drive", code, "-drive", f"if=pflash,format=raw,file={variables}"),
        *("-drive", f"file={disk},format=raw,if=none,id=disk,cache=unsafe"),
        *("-device", "ide-hd,drive=disk,bus=ide.0"),
        *("-netdev", f"user,id=in,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", f"{old},netdev=in,mac={_address(hardware.WAY_IN)}"),
        *("-netdev", "user,id=out,net=10.0.3.0/24,restrict=on"),
        *("-device", f"{old},netdev=out,mac={_address(hardware.WAY_OUT)}"),
    )
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


def _address(digits: str) -> str:
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2))
