"""A host without apt: its locks are, byte for byte, those of a host that has it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from .conftest import RELEASES_ONLY, SCRIPT, Commands

_HIDE = """\
for program in /usr/bin/apt*; do mount --bind /dev/null "$program" || exit; done
for folder in /usr/lib/apt /usr/share/keyrings; do mount -t tmpfs none "$folder" || exit; done
exec "$@"
"""

pytestmark = pytest.mark.root


@pytest.fixture
def bare(commands: Commands) -> Commands:
    """Return commands that run where apt's programs, methods and keyrings are hidden."""
    apart = ("unshare", "--mount", "--propagation", "private")
    return replace(commands, prefix=(*apart, "sh", "-c", _HIDE, "sh"))


def test_a_host_without_apt_makes_the_same_lock(
    bare: Commands, locked_minimal: Path, place: Path
) -> None:
    shutil.copy(locked_minimal / "minimal.yml", place)
    done = bare.run("glock", "--no-image", "minimal.yml", *RELEASES_ONLY, cwd=place)
    assert "apt is not installed on this host: using that of debian bookworm" in done.stderr
    for name in ("minimal.lock", "minimal.lock.proof"):
        assert (place / name).read_bytes() == (locked_minimal / name).read_bytes()


@pytest.mark.skipif("GBUILD_TEST_FULL" not in os.environ, reason="needs GBUILD_TEST_FULL=1")
def test_so_it_is_with_all_that_a_lock_may_hold(
    bare: Commands, commands: Commands, place: Path
) -> None:
    text = SCRIPT.format(name="all", more="packages: [cmake, 'libc6:i386']\n", script="  true\n")
    text = text.replace("suites: [bookworm]", "suites: [trixie]\nmultiarch: [i386]")
    (place / "all.yml").write_text(text)
    words = ("glock", "--no-image", "--boot", "all.yml", *RELEASES_ONLY, "--output")
    bare.run(*words, "bare.lock", cwd=place)
    commands.run(*words, "host.lock", cwd=place)
    assert (place / "bare.lock").read_bytes() == (place / "host.lock").read_bytes()
