"""What repeated builds prove: packages, inputs, both, or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from gbuild.check import rebuild as rebuilding
from gbuild.check.compare import compare_reports
from gbuild.check.rebuild import Request
from gbuild.errors import BuildFailed, Unavailable, UsageFailure
from gbuild.formats.report import read_report, write_report
from gbuild.image.lockfiles import lock_path, read_lock_file
from gbuild.image.proof import Proof
from gbuild.model.event import discard
from gbuild.model.lock import UNVOUCHED, Asserted, Environment, Lock, Package
from gbuild.model.manifest import Report
from gbuild.model.options import BuildOptions
from gbuild.model.rebuilt import Rebuilt
from gbuild.ui import rebuilt_text

DESCRIPTOR = """\
name: demo
distro: debian
suites: [bookworm]
architectures: [amd64]
files: [note.txt]
remotes:
- url: https://example.org/demo.git
  dir: demo
script: |
  true
"""

SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/gdiff.schema.json"

Made = Callable[[str, str], str]
"""What a build makes of a package's version and of a note's text."""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """A workspace with two signers' documents, and a builder that only pretends."""

    root: Path
    made: Made
    built: list[BuildOptions] = field(default_factory=list)

    def document(
        self, version: str, note: str, *, commit: str = "1" * 40, out: str | None = None
    ) -> bytes:
        inputs = f"{sha256(DESCRIPTOR)}  demo-desc.yml\n{sha256(note)}  note.txt\ngit:{commit} demo"
        made = self.made(version, note) if out is None else out
        base = f"{sha256(version)}  tool_{version}_amd64.deb\n"
        return write_report(
            Report(
                out_manifest=f"{sha256(made)}  demo\n",
                in_manifest=inputs,
                base_manifests={"bookworm-amd64": base},
            )
        )

    def lock(self, data: bytes, _look: object) -> tuple[Lock, Proof]:
        line = read_report(data).base_manifests["bookworm-amd64"]
        version = line.split("_")[1]
        package = Package(
            name="tool",
            arch="amd64",
            version=version,
            sha256=sha256(version),
            size=1,
            archive=UNVOUCHED,
            path="tool.deb",
        )
        environment = Environment(
            suite="bookworm",
            arch="amd64",
            distro="debian",
            request=(),
            archives=(),
            packages=(package,),
            asserted=Asserted(sha256=sha256("x"), date=1),
        )
        return Lock(environments=(environment,)), Proof()

    def build(self, path: Path, options: BuildOptions, _parts: object, root: Path) -> Any:
        self.built.append(options)
        [environment] = read_lock_file(lock_path(path)).environments
        version = environment.packages[0].version
        made = self.made(version, (root / "inputs/note.txt").read_text())
        report = root / "demo-res.yml"
        report.write_bytes(self.document(version, "", out=made))
        return SimpleNamespace(report=report)

    def run(self, a: bytes, b: bytes, **request: Any) -> Rebuilt:
        found = compare_reports("alice", read_report(a), "bob", read_report(b))
        parts: Any = SimpleNamespace(sink=discard, store=None, environment={})
        return rebuilding.rebuild(found, (a, b), Request(workspace=self.root, **request), parts)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    one = World(root=tmp_path, made=lambda version, note: version + note)
    (tmp_path / "demo.yml").write_text(DESCRIPTOR)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/note.txt").write_text("n")
    monkeypatch.setattr(rebuilding, "lock_assertion", one.lock)
    monkeypatch.setattr(rebuilding, "build", one.build)
    return one


def notes(world: World, monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Have every note at hand: what lies in inputs/ is the one that is asked for."""

    def copy(self: Any, folder: Path) -> None:
        wanted = self._inputs.inputs["note.txt"]
        (folder / "note.txt").write_text(next(t for t in texts if sha256(t) == wanted))

    monkeypatch.setattr(rebuilding._Attempt, "_copy_inputs", copy)


def test_packages_that_alone_differ_are_proved_by_two_builds(world: World) -> None:
    a, b = world.document("1", "n", commit="7" * 40), world.document("2", "n", commit="7" * 40)
    done = world.run(a, b)
    assert [(r.packages, r.inputs, r.same) for r in done.builds] == [
        ("A", "A", ("A",)),
        ("B", "B", ("B",)),
    ]
    assert done.explained == "packages"
    assert [options.commits for options in world.built] == [{"demo": "7" * 40}] * 2
    assert list(rebuilt_text.lines(done)) == [
        "rebuilt with alice's packages (no archive vouches for them): same bytes as alice",
        "rebuilt with bob's packages (no archive vouches for them): same bytes as bob",
        "proved: the packages explain the difference",
    ]


@pytest.mark.parametrize(
    ("made", "explained"),
    [
        (lambda version, _note: version, "packages"),
        (lambda _version, note: note, "inputs"),
        (lambda version, note: version + note, "both"),
    ],
)
def test_when_packages_and_inputs_differ_a_mixed_build_tells(
    world: World, monkeypatch: pytest.MonkeyPatch, made: Made, explained: str
) -> None:
    world.made = made
    notes(world, monkeypatch, "n", "m")
    done = world.run(world.document("1", "n"), world.document("2", "m"))
    assert [(r.packages, r.inputs) for r in done.builds] == [("A", "A"), ("B", "B"), ("B", "A")]
    assert done.explained == explained


def test_one_lock_and_so_one_image_serves_two_who_had_the_same_packages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes(world, monkeypatch, "n", "m")
    asked = []

    def lock(data: bytes, look: object) -> tuple[Lock, Proof]:
        asked.append(data)
        return world.lock(data, look)

    monkeypatch.setattr(rebuilding, "lock_assertion", lock)
    a = world.document("1", "n")
    assert world.run(a, world.document("1", "m")).explained == "inputs"
    assert asked == [a, a]
    other = world.document("2", "n")
    world.run(a, other)
    assert asked[2:] == [a, other]


def test_what_does_not_come_out_again_proves_nothing(world: World) -> None:
    done = world.run(world.document("1", "n", out="what nobody builds"), world.document("2", "n"))
    assert done.explained == ""
    said = list(rebuilt_text.lines(done))
    assert "neither: of 1 artefacts 0 as alice has them, 0 as bob has them" in said[0]
    assert said[-1].startswith("nothing is proved")
    assert rebuilt_text.document(done)["explained"] is None


def test_the_answer_follows_its_schema(world: World) -> None:
    done = world.run(world.document("1", "n"), world.document("2", "n"))
    found = json.loads(json.dumps(rebuilt_text.document(done)))
    schema = json.loads(SCHEMA.read_text())["oneOf"][0]["properties"]["rebuilt"]
    jsonschema.validate(found, schema)


def test_a_script_that_fails_is_a_result(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = world.document("1", "n"), world.document("2", "n")

    def failing(*_: object) -> None:
        raise BuildFailed("bookworm-amd64: the build script failed with status 1")

    monkeypatch.setattr(rebuilding, "build", failing)
    done = world.run(a, b)
    assert [r.failure for r in done.builds] == [
        "bookworm-amd64: the build script failed with status 1"
    ] * 2
    assert done.explained == ""


def test_what_is_missing_is_named(world: World) -> None:
    a, b = world.document("1", "n"), world.document("2", "n")
    (world.root / "a.yml").write_bytes(b"#" * (2 << 20))  # no descriptor is as large
    (world.root / "inputs/note.txt").write_text("another")
    with pytest.raises(Unavailable) as caught:
        world.run(a, b)
    assert caught.value.details == (f"inputs/note.txt: sha256 {sha256('n')}",)
    (world.root / "demo.yml").write_text(DESCRIPTOR + "# changed\n")
    with pytest.raises(UsageFailure, match=sha256(DESCRIPTOR)):
        world.run(a, b)
    elsewhere = world.root / "old/demo.yml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(DESCRIPTOR)
    (world.root / "inputs/note.txt").write_text("n")
    assert world.run(a, b, descriptors=(elsewhere,)).explained == "packages"
