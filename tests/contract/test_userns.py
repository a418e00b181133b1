"""The default backend keeps the contract."""

from __future__ import annotations

from gbuild.backends.userns import UsernsBackend
from gbuild.target.contract import BackendContract


class TestUserns(BackendContract):
    kind = UsernsBackend
