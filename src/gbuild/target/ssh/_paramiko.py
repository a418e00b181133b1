"""Imports paramiko without what it would drag in and nothing here uses."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Make the import of an optional module fail inside the block."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # how the import system spells "absent"
    try:
        yield
    finally:
        with contextlib.suppress(KeyError):
            del sys.modules[name]


# invoke is wanted for `Match exec` lines of ssh_config only, and costs half of the import.
with _absent("invoke"):
    importlib.import_module("paramiko")
