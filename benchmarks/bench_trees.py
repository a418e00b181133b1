"""Trees into and out of a target, against tar through a pipe on this host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness import Bench, Row, timed
from parts import backend_of, image_of, start

from gbuild.target.receive_tree import TreeLimits
from gbuild.target.shell import Target


def measure(bench: Bench) -> Iterator[Row]:
    """Copy a gigabyte both ways as few large files and as many small ones."""
    backend = backend_of(bench)
    image = image_of(bench)
    backend.prepare(image)
    for what, make in (("16 x 64 MiB", _large), ("20,000 x 50 KiB", _small)):
        source = bench.fresh("source")
        make(source)
        with start(backend, image) as machine, Target(machine) as target:
            yield from _compare(bench, what, source, target)
        shutil.rmtree(source)


def _compare(bench: Bench, what: str, source: Path, target: Target) -> Iterator[Row]:
    user = target.machine.user
    there = f"/home/{user}/tree"
    puts: list[float] = []
    gets: list[float] = []
    pipes: list[float] = []
    copy = bench.work / "copy"
    for _ in range(bench.times(5, 2)):
        pipes.append(timed(lambda: _pipe(source, bench.fresh("copy"))))
        shutil.rmtree(copy)
        puts.append(timed(lambda: target.put_tree(source, there, user=user)))
        gets.append(timed(lambda: target.get_tree(there, copy, limits=TreeLimits(), user=user)))
        shutil.rmtree(copy)
        target.run(("rm", "-rf", there), user=user, check=True)
    for direction, samples in (("put", puts), ("get", gets)):
        # A speed is the inverse of a time: at least half of tar's speed.
        yield Row(
            what=f"{direction} {what}",
            unit="1/s",
            ours=[1 / one for one in samples],
            peer=[1 / one for one in pipes],
            peer_name="tar | tar",
            least=0.5,
        )


def _pipe(source: Path, dest: Path) -> None:
    with subprocess.Popen(["tar", "-c", "-C", source, "."], stdout=subprocess.PIPE) as reader:
        subprocess.run(["tar", "-x", "-C", dest], stdin=reader.stdout, check=True)


def _large(folder: Path) -> None:
    block = os.urandom(1 << 20)
    for number in range(16):
        with (folder / str(number)).open("wb") as stream:
            for _ in range(64):
                stream.write(block)


def _small(folder: Path) -> None:
    block = os.urandom(50 << 10)
    for number in range(20_000):
        place = folder / str(number // 500)
        place.mkdir(exist_ok=True)
        (place / str(number)).write_bytes(block)
