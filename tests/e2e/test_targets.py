"""A target by hand, from a descriptor to its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Commands


_NAME = "hello-bookworm-amd64"


@pytest.fixture
def folder(commands: Commands, hello: Path) -> Iterator[Path]:
    """A workspace with hello's lock; a target that is left there is stopped.

    For one test only: its name is known to all workers of the run.
    """
    yield hello
    left = commands.run("gtarget", "list", "--json", cwd=hello).answer["targets"]
    if _NAME in [target["name"] for target in left]:
        commands.run("gtarget", "stop", _NAME, cwd=hello)


def test_start_exec_stop(commands: Commands, folder: Path) -> None:
    started = commands.run("gtarget", "start", "hello.yml", cwd=folder)
    assert started.stdout == f"{_NAME}\n"
    again = commands.run("gtarget", "start", "hello.yml", cwd=folder, code=2)
    assert "runs already" in again.stderr
    shown = commands.run(
        "gtarget", "exec", _NAME, "sh", "-c", "id -un; gcc -dumpmachine", cwd=folder
    )
    assert shown.stdout == "debian\nx86_64-linux-gnu\n"
    refused = commands.run("gtarget", "exec", _NAME, "su", "-c", "id", cwd=folder, code=None)
    assert "uid=0" not in refused.stdout
    commands.run("gtarget", "stop", _NAME, cwd=folder)
    commands.run("gtarget", "exec", _NAME, "true", cwd=folder, code=2)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--suite", "sid"], "no suite sid"),
        (["--arch", "i386"], "no architecture i386"),
        (["--name", "../x"], "not a valid target name"),
    ],
)
def test_bad_choices(commands: Commands, hello: Path, words: list[str], why: str) -> None:
    ended = commands.run("gtarget", "start", *words, "hello.yml", cwd=hello, code=2)
    assert why in ended.stderr
