"""A target by hand, from a descriptor to its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(commands: Any, locked_hello: Path) -> Iterator[Path]:
    yield locked_hello
    commands.run("gtarget", "prune", cwd=locked_hello)  # of the runs that other tests killed
    left = commands.run("gtarget", "list", "--json", cwd=locked_hello).answer["targets"]
    for target in left:
        commands.run("gtarget", "stop", target["name"], cwd=locked_hello)


def test_start_exec_stop(commands: Any, folder: Path) -> None:
    started = commands.run("gtarget", "start", "hello.yml", cwd=folder)
    assert started.stdout == "hello-bookworm-amd64\n"
    again = commands.run("gtarget", "start", "hello.yml", cwd=folder, code=2)
    assert "runs already" in again.stderr
    name = "hello-bookworm-amd64"
    shown = commands.run(
        "gtarget", "exec", name, "sh", "-c", "id -un; gcc -dumpmachine", cwd=folder
    )
    assert shown.stdout == "debian\nx86_64-linux-gnu\n"
    refused = commands.run("gtarget", "exec", name, "su", "-c", "id", cwd=folder, code=None)
    assert "uid=0" not in refused.stdout
    commands.run("gtarget", "stop", name, cwd=folder)
    commands.run("gtarget", "exec", name, "true", cwd=folder, code=2)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--suite", "sid"], "no suite sid"),
        (["--arch", "i386"], "no architecture i386"),
        (["--name", "../x"], "not a valid target name"),
    ],
)
def test_bad_choices(commands: Any, folder: Path, words: list[str], why: str) -> None:
    ended = commands.run("gtarget", "start", *words, "hello.yml", cwd=folder, code=2)
    assert why in ended.stderr
