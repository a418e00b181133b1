"""gcheck against one gbuild, against itself with two workers, and against reprotest."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench_second_build import beside
from harness import Bench, NotHere, Row, call, gbuild_command, tool

from gbuild.engine.build import read_descriptor
from gbuild.host.store import Store
from gbuild.model.event import discard

_PREPARE = """\
set -e
echo build >> {count}
export HOME="$PWD/home" OUTDIR="$PWD/out" SOURCE_DATE_EPOCH=1416139200
MAKEOPTS=(-j2)
mkdir -p home out
"""
_BROKEN = """\
echo '#include <assert.h>' > where.c
seq 250 | sed 's/.*/int f&(int x) { assert(x != &); return x * & + x \\/ (& + 1); }/' >> where.c
gcc -g -O2 -c -o "$OUTDIR/where.o" "$PWD/where.c"
"""
"""A program that holds the folder it was built in: one cause for either to find."""


@dataclass(frozen=True)
class _Checked:
    """What a check took: seconds, and builds."""

    seconds: float
    builds: int


def measure(bench: Bench) -> Iterator[Row]:
    """Time whole commands in turn, each in a workspace where it has run before."""
    hello, folder = _descriptor(bench, "hello", _script(bench))
    one, two, single = [], [], []
    _gbuild(bench, folder, hello)  # what is done once is done
    for _ in range(bench.times(3, 1)):
        one.append(_gcheck(bench, folder, hello, workers=1))
        two.append(_gcheck(bench, folder, hello, workers=2))
        single.append(_gbuild(bench, folder, hello))
    yield Row(
        what="gcheck of hello, which is reproducible",
        unit="s",
        ours=[check.seconds for check in one],
        peer=single,
        peer_name="one gbuild",
        limit=2.6,
        note=f"{one[0].builds} builds",
    )
    yield Row(
        what="gcheck --parallel 2 of hello",
        unit="s",
        ours=[check.seconds for check in two],
        peer=[check.seconds for check in one],
        peer_name="--parallel 1",
        limit=0.8,
    )
    yield from _beside_reprotest(bench, "hello", _script(bench), two)
    broken, folder = _descriptor(bench, "broken", _BROKEN)
    checks = [_gcheck(bench, folder, broken, workers=2) for _ in range(bench.times(3, 1) + 1)]
    yield from _beside_reprotest(bench, "one cause", _BROKEN, checks[1:])


def _beside_reprotest(bench: Bench, name: str, script: str, ours: list[_Checked]) -> Iterator[Row]:
    """Check the same program with the same compiler's package by reprotest, on this system."""
    what = f"gcheck --parallel 2, {name}"
    peer = "reprotest --auto-build"
    try:
        theirs = _reprotest(bench, name, script)
    except NotHere as missing:
        for unit in ("s", "builds"):
            yield Row(what=what, unit=unit, peer_name=peer, limit=0.5, note=str(missing))
        return
    yield Row(
        what=what,
        unit="s",
        ours=[check.seconds for check in ours],
        peer=[theirs.seconds],
        peer_name=peer,
        limit=0.5,
    )
    yield Row(
        what=what,
        unit="builds",
        ours=[float(check.builds) for check in ours],
        peer=[float(theirs.builds)],
        peer_name=peer,
        limit=0.99,
    )


def _script(bench: Bench) -> str:
    """Return the script of the descriptor that is measured, as it stands in its file."""
    text = bench.descriptor.read_text().partition("\nscript: |\n")[2]
    return "".join(f"{line.removeprefix('  ')}\n" for line in text.splitlines())


def _descriptor(bench: Bench, name: str, script: str) -> tuple[Path, Path]:
    """Write a descriptor with hello's packages; return it, and a workspace for it."""
    folder = bench.fresh(f"check-{name}")
    head = bench.descriptor.read_text().partition("\nscript: |\n")[0]
    body = "".join(f"  {line}\n" for line in script.splitlines())
    return beside(bench, folder, f"{head}\nscript: |\n{body}"), folder


def _gbuild(bench: Bench, workspace: Path, descriptor: Path) -> float:
    started = time.perf_counter()
    call(*_words(bench, "gbuild", workspace), str(descriptor), env=_environment(bench))
    return time.perf_counter() - started


def _gcheck(bench: Bench, workspace: Path, descriptor: Path, *, workers: int) -> _Checked:
    words = (*_words(bench, "gcheck", workspace), "--parallel", str(workers), "--json")
    started = time.perf_counter()
    done = subprocess.run(
        [*words, str(descriptor)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **_environment(bench)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,  # 1: it is not reproducible
    )
    seconds = time.perf_counter() - started
    return _Checked(seconds, len(json.loads(done.stdout)["builds"]))


def _words(bench: Bench, command: str, workspace: Path) -> tuple[str, ...]:
    folders = ("--store", str(bench.store), "--workspace", str(workspace))
    return (*gbuild_command(command), *folders)


def _environment(bench: Bench) -> dict[str, str]:
    return {k: v for k, v in bench.environment.items() if k.startswith(("GBUILD_", "XDG_"))}


def _reprotest(bench: Bench, name: str, script: str) -> _Checked:
    """Run reprotest with all that it varies; its builds count themselves.

    It ends with 1 when it finds a difference, so its word on every build is what shows that it ran.
    """
    program = tool("reprotest")
    folder = bench.fresh(f"reprotest-{name.replace(' ', '-')}")
    for file in read_descriptor(bench.descriptor, discard).files:
        if file.sha256 is None:
            raise NotHere(f"{file.name}: only files with a sha256 are given to reprotest")
        source = Store(bench.store).present(file.sha256)  # gcheck has fetched it
        (folder / file.name).write_bytes(source.read_bytes())
    count = bench.work / f"{folder.name}.count"
    count.unlink(missing_ok=True)
    (folder / "build.sh").write_text(_PREPARE.format(count=count) + script)
    started = time.perf_counter()
    done = subprocess.run(
        [program, "--auto-build", "--no-diffoscope", "-c", "bash build.sh", str(folder), "out/*"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1) or not count.exists():
        raise RuntimeError(f"reprotest ended with {done.returncode}: {done.stdout[:2000]!r}")
    return _Checked(seconds, len(count.read_text().splitlines()))
