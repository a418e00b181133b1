"""What gcheck varies on request with packages of another state: real locks, real builds."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.formats.lockfile import read_lock
from gbuild.host.store import Store

from .archives import serve
from .conftest import CLONE, RELEASES_ONLY

if TYPE_CHECKING:
    from .conftest import Project

_SCRIPT = """\
echo fine > $OUTDIR/fine
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("GBUILD_TEST_FULL"), reason="an archive takes its time: GBUILD_TEST_FULL=1"
)
def test_another_point_release(minimal: Project) -> None:
    """An archive of our own with the same packages is another state of the suite."""
    path = minimal.describe(_SCRIPT, more="base: minimal\n")
    lock = minimal.lock
    environment = read_lock(lock.read_bytes(), path=str(lock)).environments[0]
    folder = minimal.root / "archive"
    folder.mkdir()
    store = Store(minimal.commands.store)
    told = serve(folder, environment, store, distro="debian", suite="bookworm")
    rings = Path(told["GBUILD_KEYRINGS"]) / "debian.gpg"
    theirs = CLONE / "src/gbuild/image/keyrings/debian.gpg"
    rings.write_bytes(rings.read_bytes() + theirs.read_bytes())
    there = replace(minimal.commands, environment=told)
    other = minimal.root / "other"
    other.mkdir()
    shutil.copy(path, other)
    there.run("glock", "--no-image", path.name, *RELEASES_ONLY, cwd=other)
    words = ("gcheck", "--only", "umask", "--json", path.name)
    axis = f"point-release={other / path.stem}.lock"
    answer = there.run(*words, "--also", axis, cwd=minimal.root).answer
    (found,) = (one for one in answer["axes"] if one["state"] != "not run")
    assert (found["name"], found["state"]) == ("point-release", "same")
    assert [build["kind"] for build in answer["builds"]] == ["control", "all", "axis"]
    same = f"point-release={path.stem}.lock"
    said = there.run(*words[:-1], "--also", same, path.name, cwd=minimal.root, code=2).stderr
    assert "it is of the same release" in said
