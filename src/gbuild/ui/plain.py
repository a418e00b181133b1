"""Events as plain lines: for pipes, files and continuous integration."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from gbuild.ui.escape import terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from gbuild.model.event import Event, Kind

_MARKS: Final[dict[Kind, str]] = {
    "step": "==> ",
    "info": "    ",
    "warning": "warning: ",
    "progress": "    ",
    "output": "  | ",
    "done": "==> ",
    "error": "error: ",
}
_PROGRESS_EVERY = 5.0
_MIB = 1 << 20


def compose(event: Event) -> str:
    """Return the event as escaped lines; every line after the first is indented below it."""
    mark = _MARKS[event.kind]
    job = event.data.get("job")
    head = f"{mark}[{job}] " if job else mark
    body = event.text.rstrip("\n") if event.kind != "progress" else progress_text(event)
    below = mark if event.kind == "output" else " " * len(mark)
    return terminal(f"{head}{body}".replace("\n", f"\n{below}"))


def progress_text(event: Event) -> str:
    """Return ``text (3.5 of 10.0 MiB)`` from the ``done`` and ``total`` bytes of the event."""
    done, total = (float(event.data.get(key, 0)) / _MIB for key in ("done", "total"))
    amount = f"{done:.1f} of {total:.1f} MiB" if total else f"{done:.1f} MiB"
    return f"{event.text} ({amount})"


class PlainRenderer:
    """Write one line per event; progress at most every five seconds."""

    def __init__(
        self,
        stream: TextIO,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._lost = False
        self._clock = clock
        self._mutex = threading.RLock()
        self._progress_after = clock() + _PROGRESS_EVERY

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._lost:
            return
        if self._quiet and event.kind not in ("warning", "error"):
            return
        with self._mutex:
            self.show(event)

    def show(self, event: Event) -> None:
        """Write the event; called with the mutex held."""
        if event.kind == "progress" and not self._progress_due():
            return
        self.write_line(compose(event))

    def write_line(self, text: str) -> None:
        """Write text that is already safe for the medium, and a newline.

        A build goes on when nobody reads what it tells: the reader of a pipe has gone, the disk
        of a log is full.
        """
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except OSError:
            self._lost = True

    def close(self) -> None:
        """End a display that is still drawn; a second call does nothing."""

    def _progress_due(self) -> bool:
        if self._clock() < self._progress_after:
            return False
        self._progress_after = self._clock() + _PROGRESS_EVERY
        return True
