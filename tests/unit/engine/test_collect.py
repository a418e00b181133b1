"""Hashing and merging what targets made."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gbuild.engine.collect import artifacts_of, merge, merge_cache
from gbuild.errors import BuildFailed

if TYPE_CHECKING:
    from .conftest import MadeOutcome


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_files_are_sorted_by_bytes_and_folders_do_not_count(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a-1", "Z", ".dot/.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    found = artifacts_of(tmp_path)
    assert [a.path for a in found] == [".dot/.x", "Z", "a-1", "a/z", "b"]
    assert found[3].sha256 == _sha256("a/z")
    assert found[3].size == 3


def test_a_link_to_a_file_inside_counts_with_that_files_bytes(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("bytes")
    (tmp_path / "link").symlink_to("real")
    assert [a.sha256 for a in artifacts_of(tmp_path)] == [_sha256("bytes")] * 2


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "nothing", "loop"])
def test_a_link_that_leads_out_or_nowhere_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("secret")
    root = tmp_path / "out"
    root.mkdir()
    (root / "loop").symlink_to(target)
    with pytest.raises(BuildFailed, match="symbolic link"):
        artifacts_of(root)


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", b"back\\slash", b"tail ", b"\x1b[2J"])
def test_names_that_cannot_stand_in_a_manifest_are_refused(tmp_path: Path, name: bytes) -> None:
    descriptor = os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY)
    os.close(descriptor)
    with pytest.raises(BuildFailed, match="cannot stand in a manifest"):
        artifacts_of(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildFailed, match="neither a file nor a folder"):
        artifacts_of(tmp_path)


def test_jobs_are_merged_in_order(tmp_path: Path, made: MadeOutcome) -> None:
    outcomes = [
        made("bookworm-amd64", {"a/one": "1", "same": "s"}),
        made("bookworm-i386", {"a/two": "2", "same": "s"}),
    ]
    merged, warnings = merge(outcomes, tmp_path / "out", strict=True)
    assert [a.path for a in merged] == ["a/one", "a/two", "same"]
    assert warnings == ()
    assert merged == artifacts_of(tmp_path / "out")


def test_one_path_with_different_bytes_is_an_error(tmp_path: Path, made: MadeOutcome) -> None:
    outcomes = [made("bookworm-amd64", {"x": "1"}), made("bookworm-i386", {"x": "2"})]
    with pytest.raises(BuildFailed, match="different bytes") as caught:
        merge(outcomes, tmp_path / "out", strict=True)
    assert caught.value.details == ("x (bookworm-amd64 and bookworm-i386)",)
    assert not (tmp_path / "out").exists()


def test_for_gitians_descriptors_the_later_job_wins(tmp_path: Path, made: MadeOutcome) -> None:
    outcomes = [made("bookworm-amd64", {"x": "1"}), made("bookworm-i386", {"x": "2"})]
    merged, warnings = merge(outcomes, tmp_path / "out", strict=False)
    assert (tmp_path / "out" / "x").read_text() == "2"
    assert merged[0].sha256 == _sha256("2")
    assert len(warnings) == 1


def test_a_file_over_a_folder_leaves_no_ghosts(tmp_path: Path, made: MadeOutcome) -> None:
    outcomes = [made("bookworm-amd64", {"x/y": "1"}), made("bookworm-i386", {"x": "2"})]
    merged, _warnings = merge(outcomes, tmp_path / "out", strict=False)
    assert [a.path for a in merged] == ["x"]
    assert merged == artifacts_of(tmp_path / "out")


def test_an_older_out_is_replaced_whole(tmp_path: Path, made: MadeOutcome) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("old")
    merge([made("bookworm-amd64", {"new": "n"})], tmp_path / "out", strict=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]


def test_merging_writes_no_job_folder(tmp_path: Path, made: MadeOutcome) -> None:
    first = made("bookworm-amd64", {"x": "1"})
    merge([first, made("bookworm-i386", {"x": "2"})], tmp_path / "out", strict=False)
    assert (first.out / "x").read_text() == "1"


def test_a_cache_only_grows(tmp_path: Path) -> None:
    cache, fetched = tmp_path / "cache", tmp_path / "fetched"
    (fetched / "sub").mkdir(parents=True)
    cache.mkdir()
    (cache / "kept").write_text("k")
    (cache / "changed").write_text("old")
    (fetched / "changed").write_text("new")
    (fetched / "sub" / "added").write_text("a")
    merge_cache(fetched, cache)
    assert sorted(a.path for a in artifacts_of(cache)) == ["changed", "kept", "sub/added"]
    assert (cache / "changed").read_text() == "new"
