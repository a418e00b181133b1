"""Incus keeps the contract through the code that is LXD's.

It is this host's, or comes out of the packages of its distribution's backports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from gbuild.target.backend import Machine

from . import every_run, incus_packages
from .lxd_contract import ServerContract
from .lxd_server import Flavour

if TYPE_CHECKING:
    from tests.conftest import Common

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.backend("incus")]


_EVERY_RUN = ("detached", "fresh", "https", "incus", "killed", "limits", "network")
"""Words of the tests of what a server does; the rest is the same code as LXD's."""


class TestIncus(ServerContract):
    files: ClassVar = every_run.files(1_000)
    kills: ClassVar = 2

    @pytest.fixture(scope="class")
    @classmethod
    def flavour(cls, common: Common) -> Flavour:
        return incus_packages.flavour(common)

    def test_it_is_incus(self, machine: Machine) -> None:
        assert machine.facts["server"].startswith("incus ")


if not every_run.FULL:
    for _name in dir(TestIncus):
        if _name.startswith("test_") and not any(word in _name for word in _EVERY_RUN):
            setattr(TestIncus, _name, None)
