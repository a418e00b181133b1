"""Three signers for all tests of a worker, and a project for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.integration.inputs.conftest import site
from tests.integration.signing.people import Person, new_home

from .project import Project, Signer

__all__ = ["project", "signers", "site"]


@pytest.fixture(scope="session")
def signers() -> Iterator[Mapping[str, Signer]]:
    made: dict[str, Signer] = {}
    for name in ("alice", "bob", "carol"):
        person = Person(new_home())
        key = person.make(f"{name} <{name}@example.org>")
        made[name] = Signer(name=name, person=person, key=key, armored=person.export(key))
    yield made
    for each in made.values():
        each.person.end_agent()
        shutil.rmtree(each.person.home, ignore_errors=True)


@pytest.fixture
def project(tmp_path: Path, signers: Mapping[str, Signer]) -> Project:
    made = Project(tmp_path, signers)
    made.out.mkdir()
    return made
