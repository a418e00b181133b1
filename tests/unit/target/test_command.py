"""Command lines and captured output."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.errors import Bug
from gbuild.target.command import Outputs, command_line

words = st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1)


@given(words)
def test_words_arrive_as_they_are(argv: list[str]) -> None:
    """A POSIX shell splits the line into exactly these words."""
    assert shlex.split(command_line(["x", *argv], None).decode()) == ["x", *argv]


def test_bytes_that_are_no_text_survive() -> None:
    assert command_line(["cat", "a\udcff"], None) == b"cat 'a\xff'"


def test_an_environment_is_the_whole_environment() -> None:
    line = command_line(["tool", "-x"], {"A": "1; rm -rf /", "B": ""})
    assert line == b"env -i 'A=1; rm -rf /' B= tool -x"


@pytest.mark.parametrize("argv", [["a\0b"], [], ["x" * 130_000]])
def test_what_cannot_be_sent_is_our_own_defect(argv: list[str]) -> None:
    with pytest.raises(Bug):
        command_line(argv, None)


@given(st.lists(st.binary(max_size=30)), st.integers(1, 50))
def test_the_end_of_the_output_is_kept(pieces: list[bytes], capture: int) -> None:
    outputs = Outputs(capture, None)
    for piece in pieces:
        outputs.add("stdout", piece)
    assert outputs.tail("stdout") == b"".join(pieces)[-capture:]
    assert outputs.tail("stderr") == b""


def test_nothing_is_kept_when_nothing_is_asked_for() -> None:
    seen: list[tuple[str, bytes]] = []
    outputs = Outputs(0, lambda stream, data: seen.append((stream, data)))
    outputs.add("stderr", b"x" * 100)
    assert outputs.tail("stderr") == b""
    assert seen == [("stderr", b"x" * 100)]
