"""Output between the thread that reads a connection and the one that wants it."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko.ssh_exception import SSHException

from gbuild.target.ssh.arrivals import SMALL, WINDOW, Arrivals, Stream

streams = st.sampled_from(["stdout", "stderr"])
sizes = st.one_of(st.integers(0, 300), st.integers(SMALL - 2, SMALL + 2))


def taken(arrivals: Arrivals) -> list[tuple[Stream, bytes]]:
    found = []
    while (piece := arrivals.next(0)) is not None:
        found.append((piece[0], bytes(piece[1])))
    return found


def joined(pieces: list[tuple[Stream, bytes]]) -> list[tuple[Stream, bytes]]:
    """Join neighbours of one stream."""
    found: list[tuple[Stream, bytes]] = []
    for stream, data in pieces:
        if found and found[-1][0] == stream:
            found[-1] = (stream, found[-1][1] + data)
        elif data:
            found.append((stream, data))
    return found


@given(st.lists(st.tuples(streams, sizes, st.booleans()), max_size=20))
def test_everything_comes_once_and_in_order(puts: list[tuple[Stream, int, bool]]) -> None:
    arrivals = Arrivals()
    sent = []
    for number, (stream, size, lasting) in enumerate(puts):
        data = bytes((number,)) * size
        sent.append((stream, data))
        arrivals.put(stream, data, (lambda: None) if lasting else None)
    assert joined(taken(arrivals)) == joined(sent)
    assert arrivals.waiting("stdout") == arrivals.waiting("stderr") == 0


def test_large_data_is_kept_until_the_next_call() -> None:
    arrivals = Arrivals()
    done: list[int] = []
    data = memoryview(bytearray(b"x" * SMALL))
    assert arrivals.put("stdout", data, lambda: done.append(1))
    assert not arrivals.put("stdout", data[: SMALL - 1], lambda: done.append(2))
    piece = arrivals.next(0)
    assert piece is not None
    assert not done
    arrivals.next(0)
    assert done == [1]


@pytest.mark.parametrize("alternate", [False, True])
def test_many_single_bytes_are_few_objects(alternate: bool) -> None:
    arrivals = Arrivals()
    names: tuple[Stream, Stream] = ("stdout", "stderr" if alternate else "stdout")
    for number in range(WINDOW // 8):
        arrivals.put(names[number % 2], b"x")
    pieces = taken(arrivals)
    assert sum(len(data) for _, data in pieces) == WINDOW // 8
    assert sum(sys.getsizeof(data) for _, data in pieces) < WINDOW // 2


def test_more_than_the_window_is_refused() -> None:
    arrivals = Arrivals()
    arrivals.put("stdout", b"x" * WINDOW)
    arrivals.put("stderr", b"x" * WINDOW)
    with pytest.raises(SSHException):
        arrivals.put("stdout", b"x")


def test_the_end_comes_when_both_streams_ended_and_all_was_taken() -> None:
    arrivals = Arrivals()
    arrivals.put("stderr", b"last")
    arrivals.end("stdout")
    states = [arrivals.ended]
    arrivals.end("stderr")
    states.append(arrivals.ended)
    assert arrivals.next(0) is not None
    assert [*states, arrivals.ended] == [False, False, True]
    assert arrivals.next(5) is None


def test_a_reader_is_woken_by_one_byte_and_by_the_end() -> None:
    arrivals = Arrivals()
    arrivals.put("stdout", b"x" * SMALL, lambda: None)
    arrivals.next(0)  # large pieces make the reader patient, but not for long
    started = time.monotonic()
    threading.Timer(0.1, arrivals.put, ("stdout", b"y")).start()
    piece = arrivals.next(60)
    assert piece is not None
    assert bytes(piece[1]) == b"y"
    threading.Timer(0.1, arrivals.end, ("stdout",)).start()
    threading.Timer(0.1, arrivals.end, ("stderr",)).start()
    assert arrivals.next(60) is None
    assert time.monotonic() - started < 30


def test_one_stream_that_ends_does_not_cut_the_wait_for_the_other() -> None:
    arrivals = Arrivals()
    arrivals.end("stdout")
    threading.Timer(0.2, arrivals.put, ("stderr", b"late")).start()
    piece = arrivals.next(60)
    assert piece is not None
    assert bytes(piece[1]) == b"late"
