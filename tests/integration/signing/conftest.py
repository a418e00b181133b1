"""Persons who end with the test, and a workspace with something built in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from .people import Person, Pool, Workspace, new_home

NEAR = Path(__file__).parents[3].parent / "shared" / "corpus"


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Give the keys that every test gets a copy of."""
    made = Pool()
    yield made
    made.remove()


@pytest.fixture
def person(pool: Pool) -> Iterator[Callable[[], Person]]:
    """Return a maker of persons."""
    made: list[Person] = []
    pool.forget()

    def make() -> Person:
        made.append(Person(new_home(), pool))
        return made[-1]

    yield make
    for each in made:
        each.end_agent()
        shutil.rmtree(each.home, ignore_errors=True)


@pytest.fixture(scope="session")
def trees() -> Iterator[Path]:
    """Give a folder with two public trees of signatures, where they are at hand.

    GBUILD_TEST_TREES names one (``<tree>/sigs``, ``<tree>/keys``); without it the archives in
    GBUILD_CORPUS, or in ../shared/corpus beside the repository, are unpacked.
    """
    if found := os.environ.get("GBUILD_TEST_TREES"):
        yield Path(found)
        return
    archives = sorted(Path(os.environ.get("GBUILD_CORPUS", NEAR)).glob("*.tar.xz"))
    if not archives:
        pytest.skip("the real trees are not at hand")
    with tempfile.TemporaryDirectory(prefix="gbuild-trees-") as folder:
        for archive in archives:
            shutil.unpack_archive(archive, folder)
        yield Path(folder)


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
