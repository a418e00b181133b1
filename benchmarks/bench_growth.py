"""A thousand targets one after another: nothing of them stays."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from harness import Bench, Row
from parts import backend_of, image_of, start

from gbuild.model.image import Image
from gbuild.target.backend import Backend
from gbuild.target.shell import Target


def measure(bench: Bench) -> Iterator[Row]:
    """Count processes, mounts, descriptors, threads and memory before and after."""
    image = image_of(bench)
    backend = backend_of(bench)
    backend.prepare(image)
    _some(backend, image, 20)
    before = _state()
    count = bench.times(1000, 20)
    _some(backend, image, count)
    after = _state()
    for what, allowed in (("processes", 0), ("mounts", 0), ("descriptors", 0), ("threads", 0)):
        yield Row(
            what=f"{what} left after {count} starts",
            unit="",
            ours=[max(0, after[what] - before[what])],
            limit=allowed,
        )
    yield Row(
        what=f"memory grown after {count} starts",
        unit="MiB",
        ours=[(after["memory"] - before["memory"]) / (1 << 20)],
        limit=8,
        note="heap of the Python process",
    )


def _some(backend: Backend, image: Image, count: int) -> None:
    for _ in range(count):
        with start(backend, image) as machine, Target(machine) as target:
            target.run(["true"], check=True)


def _state() -> dict[str, int]:
    me = os.getpid()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "processes": len(_descendants(me)),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "memory": resident,
    }


def _descendants(root: int) -> set[int]:
    """Return the processes below ``root``, and those of targets that lost their parent."""
    parents: dict[int, int] = {}
    orphans: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        if fields[1] == "1" and b"gbuild.host.sandbox" in line:
            orphans.add(int(folder.name))
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return (found - {root}) | orphans
