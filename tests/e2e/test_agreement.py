"""One descriptor, every backend, the same bytes: artefacts and the whole report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import build_hello
from .ready import ready

if TYPE_CHECKING:
    from .conftest import Commands, Result

pytestmark = [pytest.mark.slow, pytest.mark.root]

HELLO = ("lxc", "lxd", "oci", *(("kvm",) if os.environ.get("GBUILD_TEST_FULL") else ()))
"""Emulated, a build takes many minutes: only when it is asked for."""


def _backends(*names: str) -> list[Any]:
    """Return parameters, each marked as being about its backend."""
    return [pytest.param(name, marks=pytest.mark.backend(name)) for name in names]


@pytest.mark.parametrize("backend", _backends(*HELLO))
def test_hello_is_the_same_on(
    backend: str, commands: Commands, locked_hello: Path, built_hello: Result, place: Path
) -> None:
    with ready(backend, commands, place) as (here, work):
        assert build_hello(here, locked_hello, work, "--backend", backend) == built_hello
