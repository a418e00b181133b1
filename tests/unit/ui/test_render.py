"""Events become lines, JSON or a live display, whichever fits the stream."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from gbuild.model.event import Event
from gbuild.ui import Mode, render
from gbuild.ui.plain import PlainRenderer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


EVENTS = [
    Event("step", "Building hello"),
    Event("output", "checking\nwarning: fake\n", {"job": "bookworm-amd64"}),
    Event("warning", "no limit on memory"),
    Event("info", "title \x1b]0;x\x07"),
    Event("done", "built"),
]


def shown(mode: Mode, stream: io.StringIO, **options: Any) -> str:
    environment = options.pop("environment", {"TERM": "xterm"})
    renderer = render(mode, stream=stream, environment=environment, **options)
    for event in EVENTS:
        renderer(event)
    renderer.close()
    return stream.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    assert shown("auto", io.StringIO()).split("\n") == [
        "==> Building hello",
        "  | [bookworm-amd64] checking",
        "  | warning: fake",
        "warning: no limit on memory",
        r"    title \x1b]0;x\x07",
        "==> built",
        "",
    ]


def test_quiet_leaves_warnings() -> None:
    assert shown("auto", io.StringIO(), quiet=True) == "warning: no limit on memory\n"


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}])
def test_a_dumb_terminal_gets_plain_lines(environment: dict[str, str]) -> None:
    assert "\x1b" not in shown("auto", Terminal(), environment=environment)


def test_a_terminal_gets_colour_and_no_foreign_sequence() -> None:
    text = shown("auto", Terminal())
    assert "\x1b[1m==> Building hello\x1b[0m\n" in text
    assert "\x1b]" not in text
    no_colour = {"TERM": "xterm", "NO_COLOR": "1"}
    assert "\x1b" not in shown("auto", Terminal(), environment=no_colour)


def test_json_says_everything_on_lines_of_ascii() -> None:
    lines = shown("json", io.StringIO()).splitlines()
    assert [json.loads(line)["event"] for line in lines] == [e.kind for e in EVENTS]
    assert json.loads(lines[1]) == {
        "event": "output",
        "text": "checking\nwarning: fake\n",
        "data": {"job": "bookworm-amd64"},
    }
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_progress_on_a_pipe_comes_every_five_seconds() -> None:
    now = 0.0
    stream = io.StringIO()
    renderer = PlainRenderer(stream, clock=lambda: now)
    for step in range(100):
        now = step / 10
        renderer(Event("progress", "packages", {"done": step << 20, "total": 100 << 20}))
    assert stream.getvalue() == "    packages (50.0 of 100.0 MiB)\n"


def test_bars_leave_the_terminal_as_it_was() -> None:
    stream = Terminal()
    renderer = render("auto", stream=stream, environment={"TERM": "xterm"})
    renderer(Event("progress", "fetching", {"item": "a\x1b[2J.deb", "done": 1, "total": 9}))
    renderer(Event("warning", "slow mirror"))
    renderer(Event("progress", "fetching", {"item": "a\x1b[2J.deb", "done": 9, "total": 9}))
    renderer(Event("done", "fetched"))
    text = stream.getvalue()
    assert r"a\x1b[2J.deb" in text
    assert "\x1b[2J" not in text
    assert "warning: slow mirror" in text
    assert text.rindex("\x1b[?25h") < text.rindex("==> fetched")  # the cursor is back
