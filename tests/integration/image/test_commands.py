"""glock as a person runs it: files, words, exit codes, JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .conftest import World
from .mirror import SUITE

CLONE = Path(__file__).parents[3]
SCHEMA = json.loads((CLONE / "docs/reference/schemas/glock.schema.json").read_text())
DESCRIPTOR = f"""\
name: tiny
distro: debian
suites: [{SUITE}]
architectures: [amd64]
base: minimal
packages: [tool]
reference_datetime: "2024-05-01 00:00:00"
script: |
  true
"""


@dataclass
class Person:
    """Runs glock in a folder with a descriptor."""

    world: World

    @property
    def folder(self) -> Path:
        return self.world.folder

    def glock(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "gbuild.cli.glock", *map(str, words)],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "PYTHONPATH": str(CLONE / "src"),
                "GBUILD_STORE": str(self.folder / "store"),
                **self.world.environment,
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *words: str | Path, code: int = 0) -> Any:
        answer = json.loads(self.glock(*words, "--json", code=code).stdout)
        jsonschema.validate(answer, SCHEMA)
        return answer


@pytest.fixture
def person(world: World) -> Person:
    (world.folder / "tiny.yml").write_text(DESCRIPTOR)
    return Person(world)


def test_a_lock_is_made_shown_proved_and_compared(person: Person) -> None:
    made = person.glock("tiny.yml", "--no-image")
    assert "5 packages" in made.stdout
    assert (person.folder / "tiny.lock.proof").exists()
    shown = [line.split() for line in person.glock("show", "tiny.lock").stdout.splitlines()]
    assert ["libtool-part", "amd64", "2.5"] in [row[:3] for row in shown]
    proved = person.glock("verify", "tiny.yml", "--offline").stdout
    assert "trixie-amd64: 5 packages, all vouched for" in proved
    assert person.world.mirror.key.fingerprint in proved
    person.glock("diff", "tiny.lock", "tiny.lock")


def test_relocking_says_what_changed(person: Person) -> None:
    person.glock("tiny.yml", "--no-image", "--output", "old.lock")
    person.world.mirror.package("libtool-part", "2.7")
    person.world.mirror.publish()
    person.world.mirror.publish(f"{SUITE}-updates")
    (person.folder / "old.lock").rename(person.folder / "tiny.lock")
    again = person.glock("tiny.yml", "--no-image").stdout
    assert "trixie-amd64  libtool-part:amd64  2.5 -> 2.7" in again


def test_json_answers_follow_their_schema(person: Person) -> None:
    made = person.json("tiny.yml", "--no-image")
    assert made["environments"]["trixie-amd64"]["packages"] == 5
    shown = person.json("show", "tiny.lock")
    assert shown["digest"] == made["digest"]
    assert person.json("verify", "tiny.yml")["environments"]["trixie-amd64"]["packages"] == 5
    other = person.folder / "other.lock"
    text = (person.folder / "tiny.lock").read_text()
    other.write_text(text.replace('"version": "2.5"', '"version": "2.6"'))
    (change,) = person.json("diff", "tiny.lock", other, code=1)["changes"]
    assert (change["package"], change["old"], change["new"]) == ("libtool-part:amd64", "2.5", "2.6")
    person.json("verify", "tiny.yml", "--lock", other, code=8)


def test_a_poisoned_lock_exits_8_and_names_the_package(person: Person) -> None:
    person.glock("tiny.yml", "--no-image")
    path = person.folder / "tiny.lock"
    line = next(x for x in path.read_text().splitlines() if '"name": "tool"' in x)
    good = json.loads(line.strip().rstrip(","))["sha256"]
    path.write_text(path.read_text().replace(good, "0" * 64))
    failed = person.glock("verify", "tiny.yml", code=8)
    assert f"tool_1.0_amd64.deb: sha256 {'0' * 64}" in failed.stderr


def test_a_stale_lock_exits_2_with_the_mend(person: Person) -> None:
    person.glock("tiny.yml", "--no-image")
    descriptor = person.folder / "tiny.yml"
    descriptor.write_text(DESCRIPTOR.replace("[tool]", "[tool, hater]"))
    failed = person.glock("verify", "tiny.yml", code=2)
    assert "not in the lock: hater" in failed.stderr
    assert "glock tiny.yml" in failed.stderr


def test_nothing_is_written_when_resolving_fails(person: Person) -> None:
    (person.folder / "tiny.yml").write_text(DESCRIPTOR.replace("[tool]", "[tol]"))
    failed = person.glock("tiny.yml", code=2)
    assert "did you mean tool?" in failed.stderr
    assert not (person.folder / "tiny.lock").exists()
    (person.folder / "tiny.yml").write_text(DESCRIPTOR.replace(SUITE, "trixi"))
    assert "did you mean trixie" in person.glock("tiny.yml", code=2).stderr


def test_an_unknown_command_is_taken_for_a_descriptor(person: Person) -> None:
    assert "does not exist" in person.glock("verfy", code=2).stderr
    assert "Commands" in person.glock(code=2).stderr
    assert "DESCRIPTOR" in person.glock("--help").stdout
