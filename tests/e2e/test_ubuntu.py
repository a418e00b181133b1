"""The default distribution, from a local archive that is signed and packed as Ubuntu's are.

Its packages are Debian's: no archive of Ubuntu can be had where these tests run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.formats.lockfile import read_lock
from gbuild.host.store import Store

from .archives import serve, with_zstd
from .conftest import RELEASES_ONLY, Commands

_PACKAGES_OF = """\
name: small
distro: debian
suites: [trixie]
architectures: [amd64]
base: minimal
reference_datetime: "2024-01-31 12:00:00"
script: |
  true
"""
_DESCRIPTOR = """\
name: small
suites: [noble]
architectures: [amd64]
base: minimal
network: none
reference_datetime: "2024-01-31 12:00:00"
script: |
  id -un > $OUTDIR/user
  dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n' > $OUTDIR/packages
"""


@pytest.mark.slow
def test_a_suite_of_ubuntu_is_locked_and_built(commands: Commands, open_folder: Path) -> None:
    (open_folder / "debian.yml").write_text(_PACKAGES_OF)
    commands.run("glock", "--no-image", "debian.yml", *RELEASES_ONLY, cwd=open_folder)
    path = open_folder / "debian.lock"
    environment = read_lock(path.read_bytes(), path=str(path)).environments[0]
    told = serve(
        open_folder,
        environment,
        Store(commands.store),
        distro="ubuntu",
        suite="noble",
        change=with_zstd,
    )
    there = replace(commands, environment=told)
    (open_folder / "small.yml").write_text(_DESCRIPTOR)
    there.run("glock", "small.yml", "--no-image", cwd=open_folder)
    assert "all vouched for" in there.run("glock", "verify", "small.yml", cwd=open_folder).stdout
    there.run("gbuild", "small.yml", cwd=open_folder)
    out = open_folder / "build" / "out"
    assert (out / "user").read_text() == "ubuntu\n"
    shown = {
        line.split()[0]: line.split()[1] for line in (out / "packages").read_text().splitlines()
    }
    assert set(shown) == {package.name for package in environment.packages}
    assert set(shown.values()) == {"installed"}
    assert "- noble-amd64: |" in (open_folder / "result" / "small-res.yml").read_text()
