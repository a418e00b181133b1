"""Progress of transfers, told a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from gbuild.model.event import Event, Sink

_INTERVAL = 0.2


class Meter:
    """Adds up what several threads receive.

    Args:
        sink: where ``progress`` events go (``done`` and ``total`` in bytes, ``item``).
        label: the one item that all are shown as; None shows each under its own name.
        sizes: the expected bytes of each thing, by key; None makes a total 0: unknown.
    """

    def __init__(self, sink: Sink, label: str | None, sizes: Mapping[str, int | None]) -> None:
        self._sink = sink
        self._label = label
        self._sizes = dict(sizes)
        self._done: dict[str, int] = dict.fromkeys(sizes, 0)
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, key: str, name: str) -> Line:
        """Return what the receiver of ``key`` tells how far it is."""
        return Line(self, key, self._label or name)

    def set(self, key: str, item: str, done: int, *, complete: bool) -> None:
        """Note that ``done`` bytes of ``key`` are there; tell it when it is time."""
        with self._lock:
            self._done[key] = done
            if complete:
                self._sizes[key] = done
            now = time.monotonic()
            if not complete and now - self._told.get(item, 0.0) < _INTERVAL:
                return
            self._told[item] = now
            values = self._values(key)
        self._sink(Event("progress", item, {"item": item, **values}))

    def _values(self, key: str) -> dict[str, int]:
        if self._label is None:
            return {"done": self._done[key], "total": self._sizes[key] or 0}
        sizes = self._sizes.values()
        total = 0 if None in sizes else sum(size or 0 for size in sizes)
        return {"done": sum(self._done.values()), "total": total}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing's place in a :class:`Meter`."""

    meter: Meter
    key: str
    item: str

    def at(self, done: int) -> None:
        """Say how many bytes are there."""
        self.meter.set(self.key, self.item, done, complete=False)

    def end(self, done: int) -> None:
        """Say that everything is there, which is ``done`` bytes."""
        self.meter.set(self.key, self.item, done, complete=True)
