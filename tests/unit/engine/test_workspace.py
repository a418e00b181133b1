"""The workspace: one user at a time, and nothing of somebody else's is removed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gbuild.engine.workspace import Workspace
from gbuild.errors import Busy, HostFailure, UsageFailure


def test_a_second_gbuild_is_told_the_first_ones_process(tmp_path: Path) -> None:
    with (
        Workspace(tmp_path).locked(wait=False),
        pytest.raises(Busy, match=f"process {os.getpid()}"),
        Workspace(tmp_path).locked(wait=False),
    ):
        pytest.fail("two builds in one workspace")


def test_the_lock_is_free_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Workspace(tmp_path).locked(wait=False):
            assert (tmp_path / "inputs").is_dir()


def test_a_foreign_build_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "my-work").write_text("precious")
    with pytest.raises(UsageFailure, match="did not make"):
        Workspace(tmp_path).open_build(keep=False)
    assert (tmp_path / "build" / "my-work").read_text() == "precious"


def test_a_build_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "build").symlink_to("elsewhere")
    with pytest.raises(UsageFailure, match="not a folder"):
        Workspace(tmp_path).open_build(keep=False)


def test_a_folder_for_the_report_that_cannot_be_written_is_told_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "result").mkdir()
    Workspace(tmp_path).check_build()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(HostFailure, match="result cannot be written"):
        Workspace(tmp_path).check_build()


def test_our_own_leftovers_are_removed_unless_they_are_kept(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.open_build(keep=False)
    (workspace.job("bookworm-amd64") / "out").mkdir(parents=True)
    (workspace.build / ".trixie-amd64.part").mkdir()
    workspace.open_build(keep=True)
    assert workspace.job("bookworm-amd64").is_dir()
    assert not (workspace.build / ".trixie-amd64.part").exists()
    workspace.open_build(keep=False)
    assert not workspace.job("bookworm-amd64").exists()


def test_var_points_to_the_latest_log(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for moment, text in ((1.0, "first"), (2.0, "second")):
        log = workspace.open_logs(moment) / "bookworm-amd64.build.log"
        log.write_text(text)
        workspace.point("build.log", log)
    assert (tmp_path / "var" / "build.log").read_text() == "second"
    assert not (tmp_path / "var" / "build.log").readlink().is_absolute()


def test_jobs_point_to_their_logs_side_by_side(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    folder = workspace.open_logs(1.0)
    logs = [folder / f"job{number}.build.log" for number in range(8)]
    for log in logs:
        log.touch()
    with ThreadPoolExecutor(8) as jobs:
        for _ in range(50):
            list(jobs.map(lambda log: workspace.point("build.log", log), logs))
    assert (tmp_path / "var" / "build.log").resolve() in logs
    assert sorted(folder.iterdir()) == logs


def test_old_logs_go(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    folders = [workspace.open_logs(float(moment)) for moment in range(30)]
    left = sorted((tmp_path / "var" / "logs").iterdir())
    assert left == folders[-20:]
