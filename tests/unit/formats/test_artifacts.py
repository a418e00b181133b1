"""Which paths of a manifest are taken, whether it is looked at as a whole or line by line."""

from __future__ import annotations

import itertools
import time

import pytest

from gbuild.formats.artifacts import artifacts, listed
from gbuild.formats.manifest import MalformedManifest
from gbuild.model.manifest import Entry

SHA = "1" * 64


def is_taken(path: str) -> bool:
    try:
        artifacts([Entry(path, SHA)])
    except MalformedManifest:
        return False
    return True


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_every_short_path_of_dots_and_slashes(length: int) -> None:
    """A path is taken when no component of it is empty, a dot, or two: by nothing else."""
    for letters in itertools.product("a./", repeat=length):
        path = "".join(letters)
        honest = not {"", ".", ".."} & set(path.split("/"))
        assert is_taken(path) == honest, path
        try:
            found = listed(f"{SHA}  {path}\n")
        except MalformedManifest:
            found = {}
        assert found == ({path: SHA} if honest else {}), path


def test_a_hundred_thousand_lines_take_no_time_that_grows() -> None:
    """The last line spoils it: nothing before it may be tried again and again."""
    for count in (10_000, 100_000):
        text = "".join(f"{SHA}  a/{number}.b\n" for number in range(count))
        started = time.process_time()
        with pytest.raises(MalformedManifest):
            listed(f"{text}{SHA}  ../a\n")
        assert time.process_time() - started < 10
