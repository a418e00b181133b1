"""The default backend keeps the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gbuild.backends.userns import UsernsBackend
from gbuild.target.contract import BackendContract, unheld


class TestUserns(BackendContract):
    kind = UsernsBackend
    cannot: ClassVar[Mapping[str, str]] = unheld()
    kills: ClassVar = 20  # they take little time here
