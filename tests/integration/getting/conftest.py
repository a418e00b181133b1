"""Three signers for all tests of a worker, and a project for each test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.integration.inputs.conftest import site
from tests.integration.signing.people import Person

from .project import Project, Signer

__all__ = ["project", "signers", "site"]


@pytest.fixture(scope="session")
def signers() -> Iterator[Mapping[str, Signer]]:
    made: dict[str, Signer] = {}
    for name in ("alice", "bob", "carol"):
        person = Person(Path(tempfile.mkdtemp(prefix="gb", dir="/tmp")))  # sockets: short paths
        key = person.make(f"{name} <{name}@example.org>")
        made[name] = Signer(name=name, person=person, key=key, armored=person.export(key))
    yield made
    for each in made.values():
        subprocess.run(["gpgconf", "--homedir", each.person.home, "--kill", "all"], check=False)
        shutil.rmtree(each.person.home, ignore_errors=True)


@pytest.fixture
def project(tmp_path: Path, signers: Mapping[str, Signer]) -> Project:
    made = Project(tmp_path, signers)
    made.out.mkdir()
    return made
