"""The toy keeps the contract; this is all that a backend's author has to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gbuild_toy import ToyBackend

from gbuild.model.image import Image
from gbuild.target.backend import Backend
from gbuild.target.contract import BackendContract, unheld


class TestToy(BackendContract):
    kind = ToyBackend
    options: ClassVar[Mapping[str, str]] = {"nice": "7"}
    cannot: ClassVar[Mapping[str, str]] = unheld()
    files = 1_000

    def test_it_gives_way(self, backend: Backend, image: Image) -> None:
        with backend.start(self.spec(image)) as machine:
            assert self.out(machine, "ps -o ni= -p $$").split() == ["7"]
            assert machine.facts["nice"] == "7"
