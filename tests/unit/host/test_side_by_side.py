"""Work in two processes gives what it gives in one, whatever happens to the other process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import pytest

from gbuild.errors import HostFailure
from gbuild.host import side_by_side

ITEMS = range(101)

Work = Callable[[Sequence[int]], Iterator[tuple[int, int]]]


@pytest.fixture(autouse=True)
def _helped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run among other threads; what they copy does not use what those hold."""
    monkeypatch.setattr(side_by_side, "_can_help", lambda _count: True)


def squares(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((item * item, os.getpid()) for item in items)


def in_the_other(act: Callable[[], None]) -> Work:
    """Return work that does something worse in every process but this one, half way."""
    here = os.getpid()

    def work(items: Sequence[int]) -> Iterator[tuple[int, int]]:
        for number, item in enumerate(items):
            if number == len(items) // 2 and os.getpid() != here:
                act()
            yield item * item, os.getpid()

    return work


def end_hard() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise HostFailure("no")


def test_the_order_is_that_of_the_items() -> None:
    found = list(side_by_side.results(ITEMS, squares))
    assert [square for square, _ in found] == [item * item for item in ITEMS]
    assert {pid == os.getpid() for _, pid in found[::2]} == {True}
    assert {pid == os.getpid() for _, pid in found[1::2]} == {False}


@pytest.mark.parametrize("act", [end_hard, fail])
def test_what_the_other_process_does_not_do_is_done_here(act: Callable[[], None]) -> None:
    found = list(side_by_side.results(ITEMS, in_the_other(act)))
    assert [square for square, _ in found] == [item * item for item in ITEMS]
    assert found[1][1] != os.getpid()
    assert found[-2][1] == os.getpid()


def test_an_error_is_raised_here() -> None:
    def work(items: Sequence[int]) -> Iterator[int]:
        for item in items:
            if item == 31:
                raise HostFailure("thirty-one")
            yield item

    with pytest.raises(HostFailure, match="thirty-one"):
        list(side_by_side.results(ITEMS, work))


def test_nothing_is_left_of_the_other_process() -> None:
    found = side_by_side.results(range(100_000), squares)
    _, (_, other) = islice(found, 2)
    found.close()  # type: ignore[attr-defined] # it is a generator
    with pytest.raises(ProcessLookupError):
        os.kill(other, 0)


def test_beside_other_threads_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    others = set(threading.enumerate()) - {threading.current_thread()}
    monkeypatch.setattr(threading, "active_count", lambda: len({*threading.enumerate()} - others))
    assert copies_itself()  # so that it is the thread that makes the difference
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert not copies_itself()
    finally:
        end.set()
        thread.join()
    assert copies_itself()


def copies_itself() -> bool:
    return {pid for _, pid in side_by_side.results(ITEMS, squares)} != {os.getpid()}


def test_few_items_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert {pid for _, pid in side_by_side.results(range(5), squares)} == {os.getpid()}
