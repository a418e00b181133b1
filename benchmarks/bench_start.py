"""From nothing to the first command: our target over SSH, podman's container, nspawn's."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness import Bench, NotHere, Row, call, percentile, timed, tool
from parts import backend_of, image_of, start

from gbuild.target.shell import Target

PODMAN = (
    "run", "--rm", "--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none",
    "--network=none",
)  # fmt: skip
NSPAWN = (
    "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--volatile=overlay",
    "--private-network", "--console=pipe",
)  # fmt: skip


def measure(bench: Bench) -> Iterator[Row]:
    """Take the three in turn, so that whatever else this host does hits all of them."""
    image = image_of(bench)
    backend = backend_of(bench)
    backend.prepare(image)

    def first_command() -> float:
        started = time.perf_counter()
        machine = start(backend, image)
        with machine, Target(machine) as target:
            target.run(["true"], check=True)
            return time.perf_counter() - started

    first_command()
    peers: dict[str, Callable[[], float]] = {}
    notes: dict[str, str] = {}
    for name, prepare in (("podman", _podman), ("nspawn", _nspawn)):
        try:
            peers[name] = prepare(bench, image.tar)
        except (NotHere, RuntimeError) as error:
            notes[name] = str(error)[:200]
    few = bench.times(20, 3)
    ours_few, samples = _in_turn(few, first_command, peers)
    yield from _rows("start to first command, median", ours_few, samples, notes, statistics.median)
    many = bench.times(200, 5)
    ours_many, samples = _in_turn(many, first_command, peers)
    yield from _rows(
        "start to first command, 99th percentile", ours_many, samples, notes, percentile(0.99)
    )


def _in_turn(
    count: int, ours: Callable[[], float], peers: dict[str, Callable[[], float]]
) -> tuple[list[float], dict[str, list[float]]]:
    mine: list[float] = []
    samples: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(count):
        mine.append(1000 * ours())
        for name, peer in peers.items():
            samples[name].append(1000 * peer())
    return mine, samples


def _rows(
    what: str,
    ours: Sequence[float],
    samples: Mapping[str, Sequence[float]],
    notes: Mapping[str, str],
    statistic: Callable[[Sequence[float]], float],
) -> Iterator[Row]:
    for name, limit in (("podman", 0.6), ("nspawn", 1.5)):
        yield Row(
            what=what,
            unit="ms",
            ours=ours,
            peer=samples.get(name, ()),
            peer_name=name,
            limit=limit,
            statistic=statistic,
            note=notes.get(name, ""),
        )


def _podman(bench: Bench, tar: Path) -> Callable[[], float]:
    """Prepare a rootless podman with the same tree, owned by the user's own map."""
    program = tool("podman")
    if bench.user is None:
        raise NotHere("needs root, to make an ordinary user")
    home = bench.work / "podman"
    home.mkdir(mode=0o755)
    # Its sockets' names must stay below 108 bytes, or it waits twenty seconds for each container.
    run = Path(tempfile.mkdtemp(prefix="gb", dir=bench.work.parent))
    call("chown", f"{bench.user}:", home, run)
    bench.clean.append(run)
    environment = {"XDG_RUNTIME_DIR": str(run), "TMPDIR": str(home)}
    script = f"mkdir {home}/root && tar -x -p --numeric-owner -C {home}/root"
    call(program, "unshare", "sh", "-c", script, user=bench.user, env=environment,
         cwd=home, stdin=tar.read_bytes())  # fmt: skip
    argv = (program, *PODMAN, "--rootfs", f"{home}/root:O", "true")

    def once() -> float:
        return timed(lambda: call(*argv, user=bench.user, env=environment, cwd=home))

    once()
    return once


def _nspawn(bench: Bench, tar: Path) -> Callable[[], float]:
    program = tool("systemd-nspawn")
    root = bench.fresh("nspawn")
    root.chmod(0o755)
    call("tar", "-x", "-p", "--numeric-owner", "-C", root, "-f", tar)

    def once() -> float:
        return timed(lambda: call(program, *NSPAWN, "-D", root, "true"))

    once()
    return once
