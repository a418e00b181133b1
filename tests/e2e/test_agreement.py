"""One descriptor, every backend, the same bytes: artefacts and the whole report."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import Result, build_hello, end_after
from .ready import ready

if TYPE_CHECKING:
    from .conftest import Commands, Project

pytestmark = [pytest.mark.slow, pytest.mark.root]

HELLO = ("kvm", "lxc", "lxd", "oci")
"""The one that takes longest first, so that no worker waits for it at the end."""


def _backends(*names: str) -> list[Any]:
    """Return parameters, each marked as being about its backend."""
    return [pytest.param(name, marks=pytest.mark.backend(name)) for name in names]


@pytest.mark.parametrize("backend", _backends(*HELLO))
def test_hello_is_the_same_on(
    backend: str, commands: Commands, locked_hello: Path, built_hello: Result, place: Path
) -> None:
    with ready(backend, commands, place) as (here, work):
        assert build_hello(here, locked_hello, work, "--backend", backend) == built_hello


@pytest.mark.backend("kvm")
def test_nothing_is_left_of_killed_builds_in_emulated_machines(
    project: Project, commands: Commands, place: Path
) -> None:
    """Here gbuild itself is killed; the contract kills what drives a target, see test_kvm.py."""
    path = project.describe("sleep 60\n")
    moments = [("starting the target", delay) for delay in (0.2, 1.5, 4)]
    with ready("kvm", commands, place) as (here, work):
        for part in project.root.glob(f"{path.stem}.*"):
            shutil.copy(part, work)
        words = ("--workspace", work, "--backend", "kvm", work / path.name)
        answer = here.run("gbase", "make", "--json", *words, cwd=work).answer
        assert (answer["backend"], answer["made"][0]["label"]) == ("kvm", "bookworm-amd64")
        before = _pruned(here, work)  # a daemon that has ended for good may have left something
        for text, delay in (*moments, ("running the build script", 0.2)):
            with here.start("gbuild", *words, cwd=work) as process:
                assert end_after(process, text, signal.SIGKILL, delay) == -9
            until = time.monotonic() + 120
            while left := _pruned(here, work) - before:
                assert time.monotonic() < until, (text, delay, left)


def _pruned(here: Commands, work: Path) -> set[str]:
    """Prune; return what is left of machines that no living target of the store has."""
    here.run("gtarget", "prune", "--backend", "kvm", cwd=work)
    folder = here.store / "kvm" / "targets"
    entries = list((here.store / "run" / "kvm").glob("*.json"))
    dead = {one.name for one in entries if not Path("/proc", one.name.split("~")[1]).exists()}
    tokens = {one.stem.rpartition("~")[2] for one in entries if one.name not in dead}
    left = {str(one) for one in folder.glob("*") if one.name not in tokens}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended
        if f"{folder}/" in words and not any(token in words for token in tokens):
            left.add(words)
    return dead | left
