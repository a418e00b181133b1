"""Run a program of this host on hostile files, shut in; a program for ``run_trusted``.

Standard input has the plan (JSON, see :func:`gbuild.host.inspect.inspect`). The root that the
program sees is a tmpfs with a size and a number of files; of the host it has the programs and
libraries, read-only, and the files, read-only. What it writes to standard output comes back up
to a limit, after it the end of what it complained about on standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.confined import run_confined
from gbuild.host.sandbox.layout import Bind, Directory, File, Layout

_PLACE = "/tmp"  # covered by a private mount first
_SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
_SETTINGS = ("alternatives", "ld.so.cache", "magic", "mime.types")
_FILES = 100_000
_NO_CORE = (1, 1)  # 0 would still feed the host's core handler; see core(5)
_TAIL = 4000


def main(argv: list[str]) -> int:
    """Do the plan; the exit status is the program's (see ``run_confined``)."""
    del argv
    plan = json.load(sys.stdin)
    files = os.open(plan["files"], os.O_PATH)
    quota = f"mode=755,size={plan['scratch']},nr_inodes={_FILES}"
    kernel.mount("inspector", _PLACE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, quota)
    for name in ("in", "root", "root/tmp"):
        os.mkdir(f"{_PLACE}/{name}")
    kernel.mount(f"/proc/self/fd/{files}", f"{_PLACE}/in", "", kernel.MS_BIND)
    with open(f"{_PLACE}/out", "w+b") as out, open(f"{_PLACE}/err", "w+b") as err:
        status = run_confined(
            _layout(plan),
            plan["argv"],
            env=plan["env"],
            directory="/in",
            stdout=out.fileno(),
            stderr=err.fileno(),
            timeout=plan["seconds"],
        )
        _hand_over(out.fileno(), plan["report"], sys.stdout.fileno())
        size = os.fstat(err.fileno()).st_size
        os.lseek(err.fileno(), max(0, size - _TAIL), os.SEEK_SET)
        sys.stderr.buffer.write(os.read(err.fileno(), _TAIL))
    return status


def _hand_over(source: int, limit: int, target: int) -> None:
    """Copy at most ``limit`` bytes, and one more so that the reader sees that there were more."""
    os.lseek(source, 0, os.SEEK_SET)
    left = limit + 1
    while left > 0 and (piece := os.read(source, min(left, 1 << 16))):
        left -= len(piece)
        while piece:
            piece = piece[os.write(target, piece) :]


def _layout(plan: dict[str, Any]) -> Layout:
    return Layout(
        root=Directory(path=Path(_PLACE, "root")),
        hostname="localhost",
        binds=(*_system(), Bind(source=Path(_PLACE, "in"), target="/in")),
        files=(File(path="/etc/passwd", data=b"root:x:0:0:root:/tmp:/bin/sh\n"),),
        limits=_limits(plan),
    )


def _system() -> list[Bind]:
    """Show the host's programs and libraries; what is a link there is one here."""
    binds = []
    for name in _SYSTEM:
        place = Path("/", name)
        if place.is_symlink():
            os.symlink(os.readlink(place), f"{_PLACE}/root/{name}")
        elif place.is_dir():
            binds.append(Bind(source=place, target=f"/{name}"))
    settings = (Path("/etc", name) for name in _SETTINGS)
    return [*binds, *(Bind(source=p, target=str(p)) for p in settings if p.exists())]


def _limits(plan: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """Of each process; what all may use together is the business of a control group."""
    wanted = {
        resource.RLIMIT_DATA: plan["memory"],
        resource.RLIMIT_NPROC: plan["processes"],
        resource.RLIMIT_FSIZE: plan["scratch"] // 2,
        resource.RLIMIT_CPU: plan["seconds"],
        resource.RLIMIT_NOFILE: 1024,
    }
    return {resource.RLIMIT_CORE: _NO_CORE, **{kind: (n, n) for kind, n in wanted.items()}}
