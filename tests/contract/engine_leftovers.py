"""What an engine of containers still has of a target, whatever this host shows of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import ClassVar

import pytest

from gbuild.backends.oci import OciBackend, layout
from gbuild.backends.oci.container import STORE
from gbuild.host.store import Store
from gbuild.model.image import Image
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

    def test_prune_removes_what_a_killed_run_labelled_and_nothing_else(
        self, backend: OciBackend, image: Image
    ) -> None:
        identity = layout.describe(image).identity
        made = [f"gbuild-test-{name}-{os.getpid()}" for name in ("stray", "other", "plain")]
        stores = (backend.store.root, f"{backend.store.root}-of-others", None)
        for name, store in zip(made, stores, strict=True):
            label = () if store is None else (f"--label={STORE}={store}",)
            backend.engine.ask("create", f"--name={name}", *label, identity, "true")
        try:
            assert f"container {made[0]}" in backend.prune()
            listed = backend.engine.ask("ps", "--all", "--format={{.Names}}").stdout.decode()
            assert set(made) & set(listed.split()) == set(made[1:])
        finally:
            backend.engine.ask("rm", "--force", *made[1:])
