"""Plans: every step in its order, and a digest of what decides the artefacts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.engine.normalise import normalisers
from gbuild.engine.plan_text import describe, lines
from gbuild.engine.planner import plan_build
from gbuild.errors import UsageFailure
from gbuild.model.descriptor import Alternative, Descriptor, InputFile, Remote
from gbuild.model.options import BuildOptions
from gbuild.model.plan import CacheState, Inputs, PutFiles, ResolvedFile, ResolvedRemote

if TYPE_CHECKING:
    from .conftest import Described, Locked

_GOLDEN = Path(__file__).parents[2] / "golden"
_OPTIONS = BuildOptions()
_INPUTS = Inputs(
    files=(ResolvedFile(name="a.tar.gz", sha256="1" * 64, path=Path("/store/1")),),
    remotes=(
        ResolvedRemote(
            dir="source",
            url="https://x.example/source.git",
            commit="2" * 40,
            author_time=1_706_702_400,
            tree_sha256="3" * 64,
            checkout=Path("/workspace/inputs/source"),
        ),
    ),
    caches=(
        CacheState(folder="sample", digest="4" * 64, path=Path("/workspace/cache/sample")),
        CacheState(folder="common", digest="5" * 64, path=Path("/workspace/cache/common")),
    ),
)


@pytest.fixture
def full(described: Described) -> Descriptor:
    """A descriptor that uses every kind of step."""
    return described(
        suites=("bookworm", "trixie"),
        architectures=("amd64", "i386"),
        files=(InputFile(name="a.tar.gz", sha256="1" * 64),),
        remotes=(Remote(url="https://x.example/source.git", dir="source"),),
        alternatives=(Alternative(package="x86_64-w64-mingw32-g++", path="/usr/bin/posix"),),
        enable_cache=True,
        network="none",
        source_date_epoch=True,
    )


_LABELS = ("bookworm-amd64", "bookworm-i386", "trixie-amd64", "trixie-i386")


def test_the_whole_plan(full: Descriptor, locked: Locked) -> None:
    plan = plan_build(full, _OPTIONS, _INPUTS, locked(*_LABELS))
    assert "\n".join(lines(plan)) + "\n" == (_GOLDEN / "plan-full.txt").read_text()


def test_one_job_as_data(full: Descriptor, locked: Locked) -> None:
    plan = plan_build(full, _OPTIONS, _INPUTS, locked(*_LABELS))
    text = json.dumps(describe(plan)["jobs"][1], indent=1) + "\n"  # type: ignore[index]
    assert text == (_GOLDEN / "plan-job.json").read_text()


def test_no_path_of_the_host_is_in_a_plan(full: Descriptor, locked: Locked) -> None:
    plan = plan_build(full, _OPTIONS, _INPUTS, locked(*_LABELS))
    moved = replace(
        _INPUTS,
        files=tuple(replace(f, path=Path("/elsewhere")) for f in _INPUTS.files),
        remotes=tuple(replace(r, checkout=Path("/elsewhere")) for r in _INPUTS.remotes),
        caches=tuple(replace(c, path=Path("/elsewhere")) for c in _INPUTS.caches),
    )
    assert plan_build(full, _OPTIONS, moved, locked(*_LABELS)).digest == plan.digest
    assert "/workspace" not in json.dumps(describe(plan))


@pytest.mark.parametrize(
    "changes",
    [
        {"num_procs": 3},
        {"memory": 1000},
        {"allow_sudo": True},
        {"scratch": "disk"},
        {"cache_read_only": True},
    ],
)
def test_whatever_the_script_can_notice_changes_the_digest(
    full: Descriptor, locked: Locked, changes: dict[str, object]
) -> None:
    full = replace(full, sudo="allow_sudo" in changes)
    options = replace(_OPTIONS, **changes)  # type: ignore[arg-type]
    before = plan_build(replace(full, sudo=False), _OPTIONS, _INPUTS, locked(*_LABELS))
    assert plan_build(full, options, _INPUTS, locked(*_LABELS)).digest != before.digest


def test_other_inputs_change_the_digest(full: Descriptor, locked: Locked) -> None:
    lock = locked(*_LABELS)
    before = plan_build(full, _OPTIONS, _INPUTS, lock).digest
    for other in (
        replace(_INPUTS, files=(replace(_INPUTS.files[0], sha256="9" * 64),)),
        replace(_INPUTS, remotes=(replace(_INPUTS.remotes[0], commit="9" * 40),)),
        replace(_INPUTS, remotes=(replace(_INPUTS.remotes[0], tree_sha256="9" * 64),)),
        replace(_INPUTS, caches=()),
    ):
        assert plan_build(full, _OPTIONS, other, lock).digest != before
    newer = locked(*_LABELS, packages=("gcc", "git", "make"))
    assert plan_build(full, _OPTIONS, _INPUTS, newer).digest != before


def test_normalisers_are_put_beside_the_build_and_are_part_of_the_digest(
    described: Described, locked: Locked
) -> None:
    plain = plan_build(described(), _OPTIONS, Inputs(), locked("bookworm-amd64"))
    tools = normalisers()
    asked = plan_build(
        described(normalise=True), _OPTIONS, Inputs(tools=tools), locked("bookworm-amd64")
    )
    [put] = [step for step in asked.jobs[0].steps if isinstance(step, PutFiles)]
    assert (put.files, put.dest) == (tools, f"{asked.jobs[0].home}/.canon")
    assert not any(isinstance(step, PutFiles) for step in plain.jobs[0].steps)
    other = (replace(tools[0], sha256="0" * 64), *tools[1:])
    changed = plan_build(
        described(normalise=True), _OPTIONS, Inputs(tools=other), locked("bookworm-amd64")
    )
    assert len({plain.digest, asked.digest, changed.digest}) == 3


def test_how_many_run_side_by_side_changes_nothing(full: Descriptor, locked: Locked) -> None:
    plan = plan_build(full, _OPTIONS, _INPUTS, locked(*_LABELS))
    other = replace(_OPTIONS, parallel=4, timeout=5.0, keep=True, resume=True)
    assert plan_build(full, other, _INPUTS, locked(*_LABELS)) == plan


def _kinds(descriptor: Descriptor, options: BuildOptions, inputs: Inputs, locked: Locked) -> str:
    job = plan_build(descriptor, options, inputs, locked()).jobs[0]
    return " ".join(type(step).__name__ for step in job.steps)


def test_without_our_key_the_network_stays_and_is_warned_about(
    described: Described, locked: Locked
) -> None:
    plan = plan_build(described(), _OPTIONS, Inputs(), locked())
    assert plan.jobs[0].network
    assert "network" in plan.warnings[0]
    assert _kinds(described(), _OPTIONS, Inputs(), locked) == "MakeFolders RunScript GetTree"


@pytest.mark.parametrize(
    ("network", "offline", "cut"),
    [("none", False, True), ("full", False, False), ("full", True, True), (None, True, True)],
)
def test_when_the_network_is_cut(
    described: Described, locked: Locked, network: str | None, offline: bool, cut: bool
) -> None:
    descriptor = described(network=network)
    options = BuildOptions(offline=offline)
    job = plan_build(descriptor, options, Inputs(), locked()).jobs[0]
    assert job.network is not cut
    assert ("CutNetwork RunScript" in _kinds(descriptor, options, Inputs(), locked)) is cut
    assert plan_build(descriptor, options, Inputs(), locked()).warnings == ()


def test_without_the_cache_its_folders_are_empty_and_left_alone(
    described: Described, locked: Locked
) -> None:
    descriptor = described(enable_cache=True, network="none")
    plan = plan_build(descriptor, BuildOptions(use_cache=False), Inputs(), locked())
    steps = plan.jobs[0].steps
    assert "/home/debian/cache/common" in steps[0].paths  # type: ignore[union-attr]
    kinds = [type(step).__name__ for step in steps]
    assert kinds == ["MakeFolders", "CutNetwork", "RunScript", "GetTree"]


def test_a_read_only_cache_is_put_and_not_fetched(described: Described, locked: Locked) -> None:
    descriptor = described(enable_cache=True, network="none")
    inputs = replace(_INPUTS, files=(), remotes=())
    kinds = _kinds(descriptor, BuildOptions(cache_read_only=True), inputs, locked)
    assert kinds == "MakeFolders PutTree PutTree CutNetwork RunScript GetTree"


def test_sudo_needs_the_persons_word(described: Described, locked: Locked) -> None:
    with pytest.raises(UsageFailure, match="sudo") as caught:
        plan_build(described(sudo=True), _OPTIONS, Inputs(), locked())
    assert "--allow-sudo" in str(caught.value.hint)
    allowed = BuildOptions(allow_sudo=True)
    assert plan_build(described(sudo=True), allowed, Inputs(), locked()).jobs[0].sudo
    assert not plan_build(described(), allowed, Inputs(), locked()).jobs[0].sudo


def test_an_environment_that_is_not_locked(described: Described, locked: Locked) -> None:
    with pytest.raises(UsageFailure, match="no environment bookworm-amd64"):
        plan_build(described(), _OPTIONS, Inputs(), locked("trixie-amd64"))


def test_linux64_is_built_on_amd64_and_keeps_its_name(described: Described, locked: Locked) -> None:
    job = plan_build(described(architectures=("linux64",)), _OPTIONS, Inputs(), locked()).jobs[0]
    assert (job.label, job.environment) == ("bookworm-linux64", "bookworm-amd64")
