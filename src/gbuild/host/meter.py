"""Progress of transfers, told a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from gbuild.model.event import Event, Sink

_INTERVAL = 0.2


class Meter:
    """Adds up what several threads receive.

    Args:
        sink: where ``progress`` events go (``done`` and ``total`` in bytes, ``item``).
        label: the one item that all are shown as; None shows each under its own name.
        sizes: the expected bytes of each name; None makes its total 0, which means unknown.
    """

    def __init__(self, sink: Sink, label: str | None, sizes: Mapping[str, int | None]) -> None:
        self._sink = sink
        self._label = label
        self._sizes = sizes
        self._done: dict[str, int] = dict.fromkeys(sizes, 0)
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Callable[[int], None]:
        """Return the function that takes how many bytes of ``name`` are there now."""
        return lambda done: self._set(name, done)

    def _set(self, name: str, done: int) -> None:
        item = self._label or name
        with self._lock:
            self._done[name] = done
            now = time.monotonic()
            complete = done == self._sizes[name]
            if not complete and now - self._told.get(item, 0.0) < _INTERVAL:
                return
            self._told[item] = now
            values = self._values(name)
        self._sink(Event("progress", item, {"item": item, **values}))

    def _values(self, name: str) -> dict[str, int]:
        if self._label is None:
            return {"done": self._done[name], "total": self._sizes[name] or 0}
        sizes = self._sizes.values()
        total = 0 if None in sizes else sum(size or 0 for size in sizes)
        return {"done": sum(self._done.values()), "total": total}
