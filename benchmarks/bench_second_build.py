"""The second build of hello: everything but the script itself."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from harness import Bench, Row, call, gbuild_command

_MARK = re.compile(rb"^bench-(begin|end) ([0-9.]+)\r?$", re.MULTILINE)


def measure(bench: Bench) -> Iterator[Row]:
    """Let the script say when it begins and ends; the rest of the wall clock is ours."""
    workspace = bench.fresh("second")
    descriptor = _marked(bench, workspace)
    argv = [*gbuild_command("gbuild"), "--store", str(bench.store), "--workspace", str(workspace),
            str(descriptor)]  # fmt: skip
    env = {k: v for k, v in bench.environment.items() if k.startswith(("GBUILD_", "XDG_"))}
    call(*argv, env=env)
    rest: list[float] = []
    scripts: list[float] = []
    for _ in range(bench.times(7, 2)):
        started = time.perf_counter()
        call(*argv, env=env)
        whole = time.perf_counter() - started
        scripts.append(_script(workspace))
        rest.append(whole - scripts[-1])
    yield Row(
        what="second gbuild of hello, without its script",
        unit="s",
        ours=rest,
        limit=0.7,
        note=f"the script took {min(scripts):.1f} to {max(scripts):.1f} s",
    )


def _marked(bench: Bench, folder: Path) -> Path:
    """Copy the descriptor and its lock; its script says when it begins and ends."""
    lines = bench.descriptor.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("script:"))
    after = next((i for i in range(at + 1, len(lines)) if re.match(r"\S", lines[i])), len(lines))
    lines.insert(after, "  echo bench-end $(date +%s.%N)\n")
    lines.insert(at + 1, "  echo bench-begin $(date +%s.%N)\n")
    return beside(bench, folder, "".join(lines))


def beside(bench: Bench, folder: Path, text: str) -> Path:
    """Write hello's descriptor into a folder, with the lock that fits it."""
    descriptor = folder / bench.descriptor.name
    descriptor.write_text(text)
    for kind in (".lock", ".lock.proof"):
        given = bench.descriptor.with_suffix(kind)
        kept = bench.work / "result" / given.name
        for lock in (given, kept):
            if lock.exists():
                shutil.copy(lock, folder)
                break
    return descriptor


def _script(workspace: Path) -> float:
    log = (workspace / "var" / "build.log").read_bytes()
    marks = {kind: float(moment) for kind, moment in _MARK.findall(log)}
    return marks[b"end"] - marks[b"begin"]
