"""Events for a person at a terminal: coloured lines, and bars for what takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gbuild.ui.escape import line
from gbuild.ui.plain import PlainRenderer, compose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rich.progress import Progress, TaskID

    from gbuild.model.event import Event, Kind

_STYLES: Final[dict[Kind, str]] = {
    "step": "\x1b[1m",
    "warning": "\x1b[33m",
    "output": "\x1b[2m",
    "done": "\x1b[1;32m",
}
_RESET = "\x1b[0m"


class LiveRenderer(PlainRenderer):
    """Write lines at once and keep one bar per item below them.

    rich is loaded by the first bar: a run without downloads never pays for it. It sees the same
    ``environment`` as everything else: the terminal's kind and width, NO_COLOR.
    """

    def __init__(
        self, stream: TextIO, *, environment: Mapping[str, str], quiet: bool = False
    ) -> None:
        super().__init__(stream, quiet=quiet)
        self._environment = environment
        self._colour = "NO_COLOR" not in environment
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """Write a line above the bars, or move a bar."""
        if event.kind == "progress":
            self._move_bar(event)
        else:
            self.write_line(self._paint(event))

    def write_line(self, text: str) -> None:
        """Write above the bars, which are taken off the screen and drawn again."""
        if self._bars is None:
            super().write_line(text)
            return
        self._bars.stop()
        super().write_line(text)
        self._bars.start()

    def close(self) -> None:
        """Take the bars off the screen."""
        with self._mutex:
            if self._bars is not None:
                self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def _paint(self, event: Event) -> str:
        style = _STYLES.get(event.kind) if self._colour else None
        return f"{style}{compose(event)}{_RESET}" if style else compose(event)

    def _move_bar(self, event: Event) -> None:
        bars = self._drawn()
        item = line(str(event.data.get("item", event.text)))
        done, total = event.data.get("done", 0), event.data.get("total")
        if item not in self._tasks:
            self._tasks[item] = bars.add_task(item)
        bars.update(self._tasks[item], completed=float(done), total=float(total) if total else None)
        if total and done == total:
            bars.remove_task(self._tasks.pop(item))
        if not self._tasks:
            self.close()

    def _drawn(self) -> Progress:
        if self._bars is None:
            self._bars = _new_bars(self._stream, self._environment, colour=self._colour)
            self._bars.start()
        return self._bars


def _new_bars(stream: TextIO, environment: Mapping[str, str], *, colour: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    console = Console(
        file=stream,
        no_color=not colour,
        highlight=False,
        markup=False,
        _environ=environment,
    )
    return Progress(
        TextColumn("    {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
