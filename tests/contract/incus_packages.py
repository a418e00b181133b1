"""Incus out of its distribution's packages, unpacked into a folder: nothing is installed.

Debian 12 has it in backports alone, so that no list of packages can name it.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.host import mirrors

from .lxd_server import INCUS, Flavour

if TYPE_CHECKING:
    from tests.conftest import Common

_PACKAGES = ("incus-base", "incus-client", "libcowsql0", "libraft0")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PATIENCE = 120


class NotToBeHad(Exception):
    """No mirror of this host has Incus for it; the text says what was said."""


def flavour(common: Common) -> Flavour:
    """Return this host's Incus, or one that is unpacked once a run; skip where there is none."""
    if Path(INCUS.daemon).exists():
        return INCUS
    try:
        return _unpacked(common.once("incus", _fetch))
    except NotToBeHad as error:
        pytest.skip(f"this host has no Incus, and its mirrors none for it: {error}")


def _fetch(folder: Path) -> None:
    """Download the packages from this host's mirrors and unpack them; about five seconds."""
    apt = _private_apt(folder)
    for words in (("update",), ("download", *_PACKAGES)):
        _do((*apt, *words), folder)
    for package in sorted(folder.glob("*.deb")):
        _do(("dpkg-deb", "--extract", str(package), "root"), folder)
        package.unlink()


def _unpacked(folder: Path) -> Flavour:
    root = folder / "root"
    client = str(root / "usr/bin/incus")
    return replace(
        INCUS,
        daemon=f"{root}{INCUS.daemon}",
        client=client,
        admin=(client, "admin"),
        environment={"LD_LIBRARY_PATH": str(root / _LIBRARIES)},
    )


def _private_apt(folder: Path) -> tuple[str, ...]:
    """Return apt-get's words for lists of its own; the rest of this host's configuration holds."""
    suite = f"{platform.freedesktop_os_release().get('VERSION_CODENAME')}-backports"
    bases = mirrors.bases("debian", os.environ)
    lines = (f"deb [signed-by={_KEYRING}] {base} {suite} main\n" for base in bases)
    (folder / "sources.list").write_text("".join(lines))
    (folder / "lists" / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "true",
    }
    return ("apt-get", "-q", *(f"--option={name}={value}" for name, value in settings.items()))


def _do(words: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(
            words, cwd=folder, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "output", None) or b""
        raise NotToBeHad(f"{type(error).__name__}: {said.decode(errors='replace')}") from error
