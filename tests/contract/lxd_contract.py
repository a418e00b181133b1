"""What a server of LXD and one of Incus keep: the contract, and the way to it over https."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from tests.ports import free_port

from gbuild.backends.lxd import LxdBackend
from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.contract import BackendContract
from gbuild.target.contract.base import CANARY

from . import every_run, lxd_server
from .lxd_server import Flavour, Server


class ServerContract(BackendContract):
    """The contract on a server of the test's own; a subclass has the fixture ``flavour``."""

    kind = LxdBackend
    files: ClassVar = every_run.files(2_000)
    used: ClassVar[LxdBackend]

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, flavour: Flavour) -> Iterator[Server]:
        with lxd_server.running(flavour=flavour) as server:
            yield server

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls, server: Server) -> Iterator[Mapping[str, str]]:
        canary = {"GBUILD_CANARY": CANARY, "SSH_AUTH_SOCK": f"/{CANARY}"}
        yield {**os.environ, **server.variables, **canary}
        assert server.instances() == []

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def asked(cls, backend: LxdBackend) -> Iterator[None]:
        """Keep the backend for :meth:`leftovers`."""
        cls.used = backend
        yield
        del cls.used

    def leftovers(self, name: str, store: Store) -> set[str]:
        listed = self.used._daemon().get("instances", doing="list instances")
        named = {f"instance {one}" for one in listed if name in one}
        return super().leftovers(name, store) | named

    def test_over_https_with_a_pinned_certificate(
        self,
        server: Server,
        store: Store,
        image: Image,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        address = f"127.0.0.1:{free_port()}"
        server.lxc("config", "set", "core.https_address", address)
        cert, key = tmp_path / "client.crt", tmp_path / "client.key"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=x"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", key, "-out", cert),
            ],
            check=True,
            capture_output=True,
        )
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        given = {"endpoint": f"https://{address}", "cert": str(cert), "key": str(key)}
        pin = str(server.folder / "server.crt")

        def backend(pin: str) -> LxdBackend:
            return LxdBackend(
                store=store, environment={}, sink=discard, options={**given, "pin": pin}
            )

        with pytest.raises(BackendFailure, match="another certificate than the pinned one"):
            backend("ab" * 32).prepare(image)
        with pytest.raises(BackendFailure, match="does not trust the certificate"):
            backend(pin).prepare(image)
        server.lxc("config", "trust", server.flavour.trust, str(cert))
        remote = backend(pin)
        remote.prepare(image)
        with remote.start(self.spec(image, name="remote")) as machine:
            assert self.out(machine, "id -un") == "builder\n"
            assert remote.targets()[0].name == "remote"
