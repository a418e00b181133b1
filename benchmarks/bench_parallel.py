"""Four jobs, two at a time and one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness import Bench, Row, call, gbuild_command, timed

FOUR = Path(__file__).parents[1] / "descriptors" / "zlib.yml"


def measure(bench: Bench) -> Iterator[Row]:
    """Build zlib for two suites and two architectures with -j 1."""
    home = bench.fresh("four")
    descriptor = Path(shutil.copy(FOUR, home))
    env = {k: v for k, v in bench.environment.items() if k.startswith(("GBUILD_", "XDG_"))}
    store = ("--store", str(bench.store))
    committed = [FOUR.with_suffix(kind) for kind in (".lock", ".lock.proof")]
    if all(file.exists() for file in committed):
        for file in committed:
            shutil.copy(file, home)
    else:
        _lock(descriptor, store, env)

    def build(parallel: int) -> None:
        workspace = bench.fresh(f"four-{parallel}")
        call(*gbuild_command("gbuild"), *store, "--workspace", workspace, "-j", "1",
             "--parallel", str(parallel), descriptor, env=env)  # fmt: skip

    build(2)
    two: list[float] = []
    one: list[float] = []
    for _ in range(bench.times(3, 1)):
        one.append(timed(lambda: build(1)))
        two.append(timed(lambda: build(2)))
    yield Row(
        what="four jobs with -j 1, --parallel 2",
        unit="s",
        ours=two,
        peer=one,
        peer_name="--parallel 1",
        limit=0.65,
    )


def _lock(descriptor: Path, store: Sequence[str], env: Mapping[str, str]) -> None:
    """Lock against today's archive; mirrors are often out of step for security on i386."""
    lock = [*gbuild_command("glock"), str(descriptor), *store]
    behind = [f"{suite}-security:i386" for suite in ("bookworm", "trixie")]
    try:
        call(*lock, env=env)
    except RuntimeError:
        call(*lock, *(word for one in behind for word in ("--without", one)), env=env)
