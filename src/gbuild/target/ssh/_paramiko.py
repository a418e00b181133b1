"""Imports paramiko without what it would drag in and nothing here uses."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _instead_of(name: str, module: ModuleType | None) -> Iterator[None]:
    """Have a module that is not loaded yet imported as another one inside the block.

    With None its import fails there.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment] # None: how "absent" is spelled
    try:
        yield
    finally:
        with contextlib.suppress(KeyError):
            del sys.modules[name]


def _metadata() -> ModuleType:
    """Return what tells paramiko its version: it reads mail headers to find that out."""
    module = ModuleType("importlib.metadata")
    module.version = lambda _name: "0"  # type: ignore[attr-defined] # shown to the target only
    return module


# invoke is wanted for `Match exec` lines of ssh_config only, and costs half of the import.
with _instead_of("invoke", None), _instead_of("importlib.metadata", _metadata()):
    importlib.import_module("paramiko")
