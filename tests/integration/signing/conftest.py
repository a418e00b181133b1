"""Persons who end with the test, and a workspace with something built in it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from .people import Person, Workspace


@pytest.fixture
def person() -> Iterator[Callable[[], Person]]:
    """Return a maker of persons; agent sockets need short paths."""
    homes: list[Path] = []

    def make() -> Person:
        home = Path(tempfile.mkdtemp(prefix="gb", dir="/tmp"))
        homes.append(home)
        return Person(home)

    yield make
    for home in homes:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path)
    made.build({"hello.tar.gz": b"one", "src/hello.tar.gz": b"two"})
    return made


@pytest.fixture
def git() -> Callable[[Path, Sequence[str]], str]:
    """Return a function that runs git in a folder."""

    def run(folder: Path, words: Sequence[str]) -> str:
        return subprocess.run(
            ["git", "-C", folder, *words], check=True, capture_output=True, text=True
        ).stdout

    return run
