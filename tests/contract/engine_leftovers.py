"""What an engine of containers still has of a target, whatever this host shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from gbuild.backends.oci import OciBackend
from gbuild.host.store import Store
from gbuild.target.contract import BackendContract


class EngineContract(BackendContract):
    """The contract, whose killed drivers leave no container either."""

    kind = OciBackend
    used: ClassVar[OciBackend]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def asked(cls, backend: OciBackend) -> Iterator[None]:
        """Keep the backend for :meth:`leftovers`."""
        cls.used = backend
        yield
        del cls.used

    def leftovers(self, name: str, store: Store) -> set[str]:
        external = ("--external",) if self.used.engine.kind == "podman" else ()
        listed = self.used.engine.ask("ps", "--all", *external, "--format={{.Names}}")
        named = {f"container {one}" for one in listed.stdout.decode().split() if name in one}
        return super().leftovers(name, store) | named
