"""Paths, sizes, waiting periods, places and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.cli._getting import size, waiting
from gbuild.errors import UsageFailure
from gbuild.formats.gget_state import Damaged, read_state, write_state
from gbuild.get.layout import check, windows_refusal
from gbuild.get.remembered import Store, merged, state_folder
from gbuild.get.sources import source
from gbuild.model.memory import Memory

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
MEMORIES = st.builds(
    Memory,
    seen=st.dictionaries(DIGESTS, st.integers(0, 1 << 40), max_size=3),
    counted=st.dictionaries(st.text(max_size=5), st.frozensets(DIGESTS, max_size=3), max_size=3),
    newest=st.dictionaries(st.text(max_size=5), st.sampled_from(["1.0", "1.1", "2.0rc1", "x"])),
)


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
    check([path], platform="linux")
    with pytest.raises(UsageFailure, match="no name on Windows"):
        check([path], platform="win32")


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


@given(MEMORIES)
def test_a_memory_comes_back_as_it_was(memory: Memory) -> None:
    assert read_state(write_state(memory), path="p") == memory


@given(MEMORIES, MEMORIES)
def test_memories_put_together_forget_nothing(one: Memory, other: Memory) -> None:
    both = merged(one, other)
    for memory in (one, other):
        assert all(both.seen[digest] <= moment for digest, moment in memory.seen.items())
        assert all(own <= both.counted[release] for release, own in memory.counted.items())
        assert memory.newest.keys() <= both.newest.keys()
    assert merged(both, other).seen == both.seen


@given(st.binary(max_size=200))
def test_a_damaged_memory_is_an_error(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_state(data, path="p")


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
