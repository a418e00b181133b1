"""Paths, sizes, waiting periods, places and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.cli._getting import size, waiting
from gbuild.errors import UsageFailure
from gbuild.formats.gget_state import Damaged, read_state
from gbuild.get.layout import check, windows_refusal
from gbuild.get.remembered import Store, state_folder
from gbuild.get.sources import source


@pytest.mark.parametrize(
    "path", ["../a", "a/../b", "/a", "a//b", "a/.", "a\\b", "a\0b", "", "x" * 256]
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(UsageFailure, match="a signed path"):
        check([path])


@pytest.mark.parametrize(
    "path", ["con", "NUL.txt", "a/aux.c", "a:b", "a?", "a.", "a ", "com1", "<"]
)
def test_names_that_windows_does_not_have(path: str) -> None:
    assert windows_refusal(path)


@pytest.mark.parametrize("path", ["console", "a.b", "com", "null", "a b/c"])
def test_names_that_windows_has(path: str) -> None:
    assert windows_refusal(path) is None


def test_sizes_and_waiting_periods() -> None:
    assert [size(text) for text in ("1", "2k", "500M", "4 GiB")] == [
        1, 2048, 500 << 20, 4 << 30
    ]  # fmt: skip
    assert [waiting(text) for text in ("24", "3 days", "1 week", "0")] == [86400, 259200, 604800, 0]
    for text in ("", "0", "-1", "1.5G", "many"):
        with pytest.raises(UsageFailure):
            size(text)
    for text in ("", "-1", "soon", "1 year"):
        with pytest.raises(UsageFailure):
            waiting(text)


def test_places(tmp_path: Path) -> None:
    assert source("https://example.org/a").addresses("b c/d") == (
        "https://example.org/a/b%20c/d",
        "https://example.org/a/d",
    )
    assert source(f"file://{tmp_path}").folder == tmp_path
    for text in ("ftp://x/", "https://", "http://h/a?b", "https://h/#x", "/nowhere/at/all"):
        with pytest.raises(UsageFailure):
            source(text)


def test_where_memories_lie(tmp_path: Path) -> None:
    assert state_folder({"HOME": "/home/a"}) == Path("/home/a/.local/state/gbuild/gget")
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/gbuild/gget")
    with pytest.raises(UsageFailure):
        state_folder({})
    one, other = (Store.of(tmp_path, project=None, tree=name).path for name in ("a", "b"))
    assert one != other
    assert Store.of(tmp_path, project="hello", tree="a").path.name == "project-hello.json"
    for name in ("", "../x", "a/b", ".x"):
        with pytest.raises(UsageFailure):
            Store.of(tmp_path, project=name, tree="a")


@pytest.mark.parametrize(
    "text",
    [
        '{"format": "gbuild.gget-state/2", "seen": {}, "counted": {}, "newest": {}}',
        '{"format": "gbuild.gget-state/1"}',
        '{"format": "gbuild.gget-state/1", "seen": {"x": 1}, "counted": {}, "newest": {}}',
        '{"format": "gbuild.gget-state/1", "seen": [], "counted": {}, "newest": {}}',
    ],
)
def test_another_document_is_no_memory(text: str) -> None:
    with pytest.raises(Damaged):
        read_state(text.encode(), path="p")
