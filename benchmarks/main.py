"""Run the benchmarks and print one table: ours, the peer's, the ratio, the target, the verdict.

Exit status: 0 all targets met, 1 one was missed or could not be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

from harness import HEADERS, Bench, Row, call  # noqa: E402 - needs the path above

from gbuild.host.store import default_root  # noqa: E402
from gbuild.ui.table import plain  # noqa: E402

ALL = (
    "start",
    "lxc",
    "oci",
    "lxd",
    "kvm",
    "growth",
    "exec",
    "second_build",
    "check",
    "trees",
    "image",
    "parallel",
    "verify",
)
USER = "gbuild-bench"


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for."""
    options = _options(arguments)
    rows: list[Row] = []
    with _place(Path(options.tmpfs)) as work, _ordinary_user() as user:
        bench = Bench(
            work=work,
            store=Path(options.store).absolute(),
            descriptor=Path(options.descriptor).absolute(),
            quick=options.quick,
            user=user,
        )
        for name in options.names or ALL:
            _say(f"measuring {name} ...")
            rows += _measure(name, bench)
            _keep(rows, Path(options.json))
        for folder in bench.clean:
            shutil.rmtree(folder, ignore_errors=True)
    print(plain(HEADERS, [row.cells() for row in rows]))
    print(f"\n{_host()}\nkept as {options.json}")
    return 0 if all(row.verdict in ("met", "no target") for row in rows) else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ALL)}")
    parser.add_argument("--quick", action="store_true", help="few samples: does it run?")
    parser.add_argument("--store", default=default_root(os.getuid(), os.environ))
    parser.add_argument("--descriptor", default=HERE.parent / "descriptors" / "hello.yml")
    parser.add_argument("--tmpfs", default="/dev/shm", help="where to work")
    parser.add_argument("--json", default=HERE / "results" / "latest.json")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(ALL):
        parser.error(f"there is no benchmark called {', '.join(sorted(unknown))}")
    return options


def _measure(name: str, bench: Bench) -> list[Row]:
    """Run one benchmark; what it cannot do becomes a row that says so."""
    rows: list[Row] = []
    try:
        for row in importlib.import_module(f"bench_{name}").measure(bench):
            rows.append(row)
            _say("  " + "  ".join(cell for cell in row.cells() if cell))
    except Exception as error:  # noqa: BLE001 - a row says it, and the exit status
        rows.append(Row(what=name, unit="", note=f"{type(error).__name__}: {error}"[:300]))
        _say(f"  not measured: {rows[-1].note}")
    return rows


def _keep(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "format": "gbuild.benchmarks/1",
        "host": _host(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": os.getloadavg(),
        "rows": [row.as_json() for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def _host() -> str:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{platform.release()} {platform.machine()}, {os.cpu_count()} cpus, load {load}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _place(tmpfs: Path) -> Iterator[Path]:
    """Make a folder on the tmpfs, and remove it with whatever users it belongs to inside."""
    with tempfile.TemporaryDirectory(dir=tmpfs, prefix="gbuild-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            subprocess.run(["rm", "-rf", *folder.iterdir()], check=False)


@contextmanager
def _ordinary_user() -> Iterator[str | None]:
    """Make a throw-away user with its own range of users below it."""
    if os.getuid() != 0:
        yield None
        return
    with contextlib.suppress(KeyError):
        _remove_user(pwd.getpwnam(USER).pw_uid)
    call("useradd", "-m", USER)
    try:
        yield USER
    finally:
        _remove_user(pwd.getpwnam(USER).pw_uid)


def _remove_user(uid: int) -> None:
    """End what the throw-away user left running (podman keeps a process), and remove it."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == uid:
                os.kill(int(folder.name), signal.SIGKILL)
    time.sleep(0.2)
    call("userdel", "-r", USER)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # so that user and folders go
    sys.exit(main(sys.argv[1:]))
