"""The default backend keeps the contract."""

from __future__ import annotations

import os

import pytest

from gbuild.backends.userns import UsernsBackend
from gbuild.host.store import Store
from gbuild.model.event import discard

from .contract import BackendContract


class TestUserns(BackendContract):
    @pytest.fixture
    def backend(self, store: Store) -> UsernsBackend:
        return UsernsBackend(store=store, environment=os.environ, sink=discard)
