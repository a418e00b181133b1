"""The log of one job: written as it comes, with an end, and its last lines at hand."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Self

from gbuild.model.event import Event, Sink

LIMIT = 256 << 20
"""Bytes of a job's log that are kept; a script that writes more goes on, its output does not."""

_TAIL = 64 << 10


class JobLog:
    """One log file; :meth:`write` may be called from any thread."""

    def __init__(
        self, path: Path, *, label: str, sink: Sink | None = None, limit: int = LIMIT
    ) -> None:
        self.path = path
        self.truncated = False
        self._label = label
        self._sink = sink
        self._left = limit
        self._limit = limit
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._lock = threading.Lock()
        self._stream = path.open("wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, data: bytes) -> None:
        """Add output to the log, or drop it when the log is at its limit."""
        with self._lock:
            self._remember(data)
            if self._left > 0:
                self._stream.write(data[: self._left])
                self._left -= len(data)
            if self._left <= 0 and not self.truncated:
                self.truncated = True
                self._stream.write(self._notice())
        if self._sink is not None:
            text = data.decode(errors="replace")
            self._sink(Event("output", text, {"job": self._label}))

    def _notice(self) -> bytes:
        return f"\n[gbuild: the log ends here, at its limit of {self._limit} bytes]\n".encode()

    def _remember(self, data: bytes) -> None:
        self._tail.append(data[-_TAIL:])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= _TAIL:
            self._tail_size -= len(self._tail.popleft())

    def last_lines(self, count: int) -> tuple[str, ...]:
        """Return the last lines that were written, those beyond the limit included."""
        with self._lock:
            text = b"".join(self._tail).decode(errors="replace")
        return tuple(text.splitlines()[-count:])
