"""A machine is waited for; a stream on which nobody greets is opened again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gbuild.errors import BackendFailure, TimedOut
from gbuild.target import ready

Make = Callable[..., Any]


def _silent(theirs: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def test_a_silent_stream_is_opened_again_until_time_is_up(
    machine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[socket.socket] = []

    def serve(theirs: socket.socket, over: threading.Event) -> None:
        streams.append(theirs)
        _silent(theirs, over)

    monkeypatch.setattr(ready, "_FIRST_GREETING", 0.05)
    fake = machine(serve)
    fake.overheard = lambda: ("ssh: nobody is at home",)
    with pytest.raises(TimedOut, match="seconds for fake to accept a connection") as caught:
        ready.connect_when_ready(fake, "root", timeout=3)
    assert len(streams) >= 2
    assert "ssh: nobody is at home" in caught.value.details


def test_a_silent_stream_of_a_machine_that_ended_is_not(
    machine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_FIRST_GREETING", 0.05)
    fake = machine(_silent)
    fake.running = False
    with pytest.raises(BackendFailure, match="ended before it answered"):
        ready.connect_when_ready(fake, "root", timeout=60)
