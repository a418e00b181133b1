"""Incus keeps the contract through the same code; run where Incus is installed.

Debian 12 has it in backports alone, so neither bin/test nor CI installs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild.backends.lxd import LxdBackend
from gbuild.target.contract import BackendContract
from gbuild.target.contract.base import CANARY

from . import lxd_server
from .lxd_server import INCUS, Server

if not Path(INCUS.daemon).exists():
    pytest.skip("this host has no Incus", allow_module_level=True)

pytestmark = [pytest.mark.root, pytest.mark.slow]


class TestIncus(BackendContract):
    kind = LxdBackend
    files: ClassVar = 1_000

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[Server]:
        with lxd_server.running(flavour=INCUS) as server:
            yield server

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls, server: Server) -> Iterator[Mapping[str, str]]:
        canary = {"GBUILD_CANARY": CANARY, "SSH_AUTH_SOCK": f"/{CANARY}"}
        yield {**os.environ, **server.variables, **canary}
        assert server.instances() == []
