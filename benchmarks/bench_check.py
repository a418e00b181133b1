"""gcheck of a reproducible program: two builds, against one by gbuild."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench_second_build import beside
from harness import Bench, Row, call, gbuild_command


def measure(bench: Bench) -> Iterator[Row]:
    """Time whole commands in turn, each in a workspace where it has run before."""
    ours: list[float] = []
    peer: list[float] = []
    folders = {name: bench.fresh(f"check-{name}") for name in ("gcheck", "gbuild")}
    descriptor = beside(bench, folders["gbuild"], bench.descriptor.read_text())
    for _ in range(bench.times(3, 1)):
        ours.append(_timed(bench, "gcheck", folders["gcheck"], descriptor))
        peer.append(_timed(bench, "gbuild", folders["gbuild"], descriptor))
    yield Row(
        what="gcheck of hello, which is reproducible",
        unit="s",
        ours=ours,
        peer=peer,
        peer_name="one gbuild",
        limit=2.6,
    )


def _timed(bench: Bench, command: str, workspace: Path, descriptor: Path) -> float:
    folders = ("--store", str(bench.store), "--workspace", str(workspace))
    env = {k: v for k, v in bench.environment.items() if k.startswith(("GBUILD_", "XDG_"))}
    started = time.perf_counter()
    call(*gbuild_command(command), *folders, str(descriptor), env=env)
    return time.perf_counter() - started
