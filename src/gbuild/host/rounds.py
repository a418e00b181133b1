"""Trying several addresses, in rounds, with growing pauses between them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from gbuild.host.web import Broken, Refused, Settings, Stopped, host_of, shown
from gbuild.model.event import Event, Sink

Result = TypeVar("Result")


class Rounds:
    """The addresses of one thing, and why each did not give it.

    Args:
        name: the thing, for messages.
        urls: tried in order; one that refuses is not asked again.
        settings: number of rounds and the first pause.
        sink: told before every pause.
        stop: set by whoever wants everything to end.
        slow: hosts that failed for another thing, asked last; shared and added to.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        *,
        settings: Settings,
        sink: Sink,
        stop: threading.Event,
        slow: set[str],
    ) -> None:
        self.reasons: dict[str, str] = {}
        self._name = name
        self._alive = list(urls)
        self._settings = settings
        self._sink = sink
        self._stop = stop
        self._slow = slow

    def first(self, attempt: Callable[[str], Result]) -> Result | None:
        """Return what the first successful ``attempt(url)`` returned, None when none was.

        An attempt raises :class:`Refused` or :class:`Broken` to say that it failed.

        Raises:
            Stopped: ``stop`` was set.
        """
        for number in range(self._settings.rounds):
            wait = 0.0
            for url in sorted(self._alive, key=lambda one: host_of(one) in self._slow):
                try:
                    return attempt(url)
                except Refused as error:
                    self._alive.remove(url)
                    self.reasons[url] = str(error)
                except Broken as error:
                    self._slow.add(host_of(url))
                    self.reasons[url] = str(error)
                    wait = max(wait, error.wait)
            if not self._alive:
                break
            if number + 1 < self._settings.rounds:
                self._pause(number, wait)
        return None

    @property
    def refused(self) -> bool:
        """Whether every address refused: to ask again later would not help."""
        return not self._alive

    def told(self) -> tuple[str, ...]:
        """Return one line for every address that was tried: the address and why it failed."""
        return tuple(f"{shown(url)}: {reason}" for url, reason in self.reasons.items())

    def _pause(self, number: int, wait: float) -> None:
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads clients, guards nothing
        seconds = max(wait, self._settings.delay * 2**number * jitter)
        url = self._alive[0]
        self._sink(
            Event(
                "info",
                f"{self._name}: {shown(url)}: {self.reasons[url]}; trying again in {seconds:.1f} s",
            )
        )
        if self._stop.wait(seconds):
            raise Stopped
