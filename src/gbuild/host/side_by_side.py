"""Half of a long list of work in another process: Python computes on one processor only."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import BinaryIO, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[Sequence[Item]], Iterator[Result]]
"""Yields one result for every item, in their order; results are what pickle takes."""

_WORTHWHILE = 48
"""Items below which a second process costs more than it brings."""


def results(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Iterator[Result]]
) -> Iterator[Result]:
    """Yield what ``work`` makes of every item, in order; every second one by another process.

    What the other process does not deliver (it fails, or is killed) is done here, so an error is
    met where it can be told. Where processes cannot be copied safely (another system than Linux,
    other threads) everything is done here.
    """
    if not _can_help(len(items)):
        yield from work(items)
        return
    with closing(_Other(items[1::2], work)) as other:
        mine = work(items[::2])
        for number in range(len(items)):
            yield other.next() if number % 2 else next(mine)


def _can_help(count: int) -> bool:
    alone = threading.active_count() == 1
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    return count >= _WORTHWHILE and processors > 1 and alone


class _Other(Generic[Item, Result]):
    """The results of a copy of this process, and of this one once the copy has failed."""

    def __init__(self, items: Sequence[Item], work: Work[Item, Result]) -> None:
        self._items = items
        self._work = work
        self._done = 0
        self._here: Iterator[Result] | None = None
        ours, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ours)
            _be_the_other(items, work, theirs)
        os.close(theirs)
        self._stream: BinaryIO = os.fdopen(ours, "rb")

    def next(self) -> Result:
        """Return the next result."""
        if self._here is None:
            try:
                result: Result = pickle.load(self._stream)  # noqa: S301 - our own child
            except (EOFError, pickle.UnpicklingError):
                self._here = self._work(self._items[self._done :])
            else:
                self._done += 1
                return result
        return next(self._here)

    def close(self) -> None:
        """End the other process."""
        self._stream.close()
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _be_the_other(items: Sequence[Item], work: Work[Item, Result], out: int) -> None:
    """Write the results to a pipe, and end without what the original does at its end."""
    try:
        with os.fdopen(out, "wb") as stream:
            for result in work(items):
                pickle.dump(result, stream, pickle.HIGHEST_PROTOCOL)
                stream.flush()
    finally:
        os._exit(0)  # an error, too, shows as an early end
