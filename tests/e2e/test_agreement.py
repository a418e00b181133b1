"""One descriptor, every backend, the same bytes: artefacts and the whole report."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import DESCRIPTORS, Result, build_hello
from .ready import ready

if TYPE_CHECKING:
    from .conftest import Commands, Project

pytestmark = [pytest.mark.slow, pytest.mark.root]

HELLO = ("lxc", "lxd", "oci", *(("kvm",) if os.environ.get("GBUILD_TEST_FULL") else ()))
"""Emulated, hello takes many minutes: only when it is asked for, see _LIBRARY."""

_LIBRARY = """\
tar -xf zlib_1.2.13.dfsg.orig.tar.bz2
cd zlib-*
gcc -O2 -c adler32.c compress.c inffast.c inftrees.c uncompr.c zutil.c
ar rcs "$OUTDIR/libz.a" *.o
"""
_ITS_FILES = (DESCRIPTORS / "zlib.yml").read_text().partition("files:\n")[2].partition("script:")[0]


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
def test_a_library_is_the_same_in_an_emulated_machine(
    project: Project, commands: Commands, place: Path
) -> None:
    """Real C without a ./configure, whose many processes are what emulation is slow at."""
    path = project.describe(_LIBRARY, name="library", more=f"files:\n{_ITS_FILES}")
    project.gbuild(path)
    with ready("kvm", commands, place) as (here, work):
        for part in project.root.glob("library.*"):
            shutil.copy(part, work)
        here.run("gbuild", "--workspace", work, "--backend", "kvm", work / path.name, cwd=work)
    assert Result.of(work, "library") == Result.of(project.root, "library")
