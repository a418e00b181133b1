"""ctrl-C and kill -9 at many moments: nothing lives on, and the next run works."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import check_gone, end_after

if TYPE_CHECKING:
    from .conftest import Project

Orphans = Callable[[], set[str]]

_SCRIPT = """\
echo started
setsid sleep 1000 &
head -c 20000000 /dev/urandom > $OUTDIR/data
sleep 2
echo done
"""
_QUICK = _SCRIPT.replace("sleep 2\n", "")
"""What is built afterwards, to see that it can be."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["starting the target", "running the build script", "getting"])
def test_at_a_step(project: Project, orphans: Orphans, number: signal.Signals, moment: str) -> None:
    path = project.describe(_SCRIPT)
    with project.commands.start("gbuild", path, cwd=project.root) as process:
        status = end_after(process, moment, number)
    assert status == (-9 if number == signal.SIGKILL else 130)
    check_gone(orphans)
    assert not (project.root / "result" / "small-res.yml").exists()
    project.gbuild(project.describe(_QUICK))
    assert (project.root / "build" / "out" / "data").stat().st_size == 20_000_000


@pytest.mark.parametrize("delay", [0.3, 0.6, 0.9, 1.2, 1.8])
def test_killed_at_any_time(project: Project, orphans: Orphans, delay: float) -> None:
    path = project.describe(_SCRIPT.replace("sleep 2\n", "sleep 600\n"))
    with project.commands.start("gbuild", path, cwd=project.root) as process:
        time.sleep(delay)
        process.kill()
        process.communicate(timeout=120)
    check_gone(orphans)
    with contextlib.suppress(FileNotFoundError):
        assert not list((project.root / "result").glob("small-res*"))
    project.gbuild(project.describe(_QUICK))


@pytest.mark.slow
def test_killed_while_the_image_is_made(minimal: Project, orphans: Orphans) -> None:
    """A store with the packages and no image: each run makes it up to where it is killed."""
    fresh = replace(minimal.commands, store=minimal.root / "store")
    shutil.copytree(minimal.commands.store / "blobs", fresh.store / "blobs", copy_function=_link)
    path = minimal.describe("echo > $OUTDIR/x", more="base: minimal\n")
    for moment in ("making the image", "unpacking the image"):
        with fresh.start("gbuild", path, cwd=minimal.root) as process:
            assert end_after(process, moment, signal.SIGKILL) == -9
        check_gone(orphans)
    fresh.run("gbuild", path, cwd=minimal.root)
    assert not list((fresh.store / "tmp").iterdir())
    assert (minimal.root / "build" / "out" / "x").exists()
    fresh.run("gbase", "prune", "--all", cwd=minimal.root)


def _link(source: str, dest: str) -> None:
    """Share a package's blob; images, which are larger, stay behind."""
    if Path(source).stat().st_size < (200 << 20):
        try:
            os.link(source, dest)
        except OSError:  # on another file system
            shutil.copyfile(source, dest)
