"""One module per cause; each offers :data:`CAUSE`.

A new one is a module here and a name in :data:`ORDER`, with a pair of fixtures beside the others
(tests/unit/check/pairs.py) and a section in docs/reference/causes.md.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from gbuild.check.diagnose.cause import Cause

ORDER = (
    "gzip_header",
    "zip_dates",
    "zip_metadata",
    "ar_members",
    "tar_dates",
    "tar_owners",
    "file_modes",
    "python_bytecode",
    "build_id",
    "compression",
    "locale_order",
    "archive_order",
    "directory_order",
    "hash_order",
    "line_order",
    "timezone",
    "timestamp",
    "duration",
    "address",
    "random_identifier",
    "home",
    "build_path",
    "user",
    "kernel_version",
    "processor",
    "hostname",
    "parallelism",
    "memory_size",
    "file_system",
    "process_id",
    "locale",
    "environment",
    "uninitialised",
    "digest",
)
"""The first one that knows a difference explains it: those that need more evidence come first."""


@cache
def all_causes() -> tuple[Cause, ...]:
    """Return every cause, in :data:`ORDER`."""
    return tuple(import_module(f"{__name__}.{name}").CAUSE for name in ORDER)
