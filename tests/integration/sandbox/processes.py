"""Find processes that a test started, and wait for things."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def marked(mark: bytes, *, parent: int | None = None, below: int | None = None) -> set[int]:
    """Return processes with ``mark`` in their command line, children or descendants of one."""
    tree = _parents()
    found = {pid for pid in tree if mark in _command(pid)}
    if parent is not None:
        return {pid for pid in found if tree[pid] == parent}
    if below is not None:
        return {pid for pid in found if below in _ancestors(pid, tree)}
    return found


def descendants(pid: int) -> set[int]:
    """Return every process below one."""
    tree = _parents()
    return {child for child in tree if pid in _ancestors(child, tree)}


def until(condition: Callable[[], object], *, seconds: float = 120) -> bool:
    """Wait until the condition holds; say whether it did in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def _parents() -> dict[int, int]:
    result = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            result[int(place.parent.name)] = int(fields[1])
    return result


def _ancestors(pid: int, tree: dict[int, int]) -> set[int]:
    result: set[int] = set()
    while pid in tree and tree[pid] not in result:
        pid = tree[pid]
        result.add(pid)
    return result


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
