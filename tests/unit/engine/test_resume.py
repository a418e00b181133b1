"""A finished job is believed only when nothing has changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.engine.resume import finished, record
from gbuild.engine.workspace import Workspace
from gbuild.model.plan import Job

if TYPE_CHECKING:
    from .conftest import MadeOutcome

_JOB = Job(
    label="bookworm-amd64",
    environment="bookworm-amd64",
    environment_digest="e" * 64,
    user="debian",
    network=False,
    sudo=False,
    scratch="tmpfs",
    mtime=0,
    steps=(),
    digest="d" * 64,
)


@pytest.fixture
def workspace(tmp_path: Path, made: MadeOutcome) -> Workspace:
    """A workspace in which the job was finished by an earlier run."""
    workspace = Workspace(tmp_path / "workspace")
    workspace.build.mkdir(parents=True)
    outcome = made("bookworm-amd64", {"hello": "bytes", "sub/x": "y"})
    shutil.copytree(outcome.out.parent, workspace.job("bookworm-amd64"))
    (workspace.job("bookworm-amd64") / "cache" / "common").mkdir(parents=True)
    kept = replace(
        outcome,
        out=workspace.job("bookworm-amd64") / "out",
        log=workspace.var / "logs" / "x" / "bookworm-amd64.build.log",
        image="1" * 64,
        caches={"common": workspace.job("bookworm-amd64") / "cache" / "common"},
        facts={"backend": "userns"},
    )
    record(workspace, _JOB, kept)
    return workspace


def test_an_unchanged_job_is_found(workspace: Workspace) -> None:
    outcome = finished(workspace, _JOB, image="1" * 64)
    assert outcome is not None
    assert outcome.reused
    assert [a.path for a in outcome.artifacts] == ["hello", "sub/x"]
    assert outcome.facts == {"backend": "userns"}
    assert outcome.caches == {"common": workspace.job("bookworm-amd64") / "cache" / "common"}
    assert outcome.log == workspace.var / "logs" / "x" / "bookworm-amd64.build.log"


def test_another_plan_is_not_it(workspace: Workspace) -> None:
    assert finished(workspace, replace(_JOB, digest="0" * 64), image="1" * 64) is None


def test_another_image_is_not_it(workspace: Workspace) -> None:
    assert finished(workspace, _JOB, image="2" * 64) is None


def test_changed_bytes_are_not_believed(workspace: Workspace) -> None:
    (workspace.job("bookworm-amd64") / "out" / "hello").write_text("other")
    assert finished(workspace, _JOB, image="1" * 64) is None


def test_an_added_file_is_not_believed(workspace: Workspace) -> None:
    (workspace.job("bookworm-amd64") / "out" / "more").write_text("x")
    assert finished(workspace, _JOB, image="1" * 64) is None


def test_a_lost_cache_is_not_believed(workspace: Workspace) -> None:
    (workspace.job("bookworm-amd64") / "cache" / "common").rmdir()
    assert finished(workspace, _JOB, image="1" * 64) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": "gbuild.job/1", "digest": "' + "d" * 64]
)
def test_a_damaged_record_is_no_record(workspace: Workspace, text: str) -> None:
    (workspace.job("bookworm-amd64") / "finished.json").write_text(text)
    assert finished(workspace, _JOB, image="1" * 64) is None


def test_no_record_at_all(tmp_path: Path) -> None:
    assert finished(Workspace(tmp_path), _JOB, image="1" * 64) is None
