"""The backend of LXD keeps the contract, on a daemon of the test's own."""

from __future__ import annotations

import shutil

import pytest

from gbuild.backends.lxd import LxdBackend
from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image

from .lxd_contract import ServerContract
from .lxd_server import LXD, Flavour

if shutil.which("lxd") is None:
    pytest.skip("lxd is not installed", allow_module_level=True)

pytestmark = [pytest.mark.root, pytest.mark.slow]


class TestLxd(ServerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def flavour(cls) -> Flavour:
        return LXD

    def test_a_socket_without_a_daemon_is_told(self, store: Store, image: Image) -> None:
        options = {"endpoint": "/nonexistent/unix.socket"}
        absent = LxdBackend(store=store, environment={}, sink=discard, options=options)
        with pytest.raises(BackendFailure, match="does not answer"):
            absent.prepare(image)
