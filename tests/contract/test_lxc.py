"""LXC containers keep the contract: as root with a bridge, and as an ordinary user with pasta."""

from __future__ import annotations

import shutil

import pytest

from gbuild.backends.lxc import LxcBackend
from gbuild.target.contract import BackendContract

if shutil.which("lxc-start") is None:
    pytest.skip("lxc is not installed", allow_module_level=True)


class TestLxc(BackendContract):
    kind = LxcBackend
