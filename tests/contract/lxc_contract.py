"""LXC containers keep the contract: run by root, and by an ordinary user (see test_lxc)."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from gbuild.backends.lxc import LxcBackend, bridge
from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.target.backend import Backend, TargetSpec
from gbuild.target.contained import ContainedMachine
from gbuild.target.contract import BackendContract, unheld
from gbuild.target.contract.base import Start

from . import every_run


class TestLxc(BackendContract):
    kind = LxcBackend
    files: ClassVar = every_run.files(2_000)
    cannot: ClassVar[Mapping[str, str]] = unheld()

    @classmethod
    def spec(cls, image: Image, **changes: object) -> TargetSpec:
        """Those that are killed have a network: there is more to clean up."""
        if str(changes.get("name")).startswith("killed"):
            changes["network"] = True
        return super().spec(image, **changes)

    def test_a_container_that_dies_in_mid_build_is_told(
        self, start: Start, backend: Backend
    ) -> None:
        machine = start(name="dying", network=True)
        assert isinstance(machine, ContainedMachine)
        self.lose(machine, lambda: os.kill(machine._inside, signal.SIGKILL))
        machine.stop()
        assert not machine.alive()
        assert self.leftovers("dying", backend.store) == set()

    def leftovers(self, name: str, store: Store) -> set[str]:
        networks = {
            f"network {place.name}"
            for place in Path("/sys/class/net").iterdir()
            if bridge.is_ours(place.name)
        }
        if os.geteuid() == 0 and b"gbuild_lxc" in run(("nft", "list", "tables")).stdout:
            networks.add("rules of nftables")
        return super().leftovers(name, store) | networks
