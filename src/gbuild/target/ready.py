"""Waiting until a machine answers."""

from __future__ import annotations

import time

from gbuild.errors import BackendFailure, TimedOut
from gbuild.target.backend import Machine
from gbuild.target.ssh import Connection, Silent, connect

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_FIRST_GREETING = 15.0
"""Seconds that a server has to greet on the first stream; on each further one twice as many."""


def connect_when_ready(machine: Machine, user: str, *, timeout: float) -> Connection:
    """Connect, trying again while the machine cannot be reached yet.

    Only a stream that cannot be opened, or at whose end nobody greets, is tried again: what an SSH
    server says is final.

    Raises:
        TimedOut: no answer within ``timeout`` seconds; says what was waited for.
        BackendFailure: the machine ended, or its server misbehaved.
    """
    until = time.monotonic() + timeout
    pause, greeting = _FIRST_PAUSE, _FIRST_GREETING
    reason: Exception
    while True:
        left = max(0.0, until - time.monotonic())
        try:
            return connect(machine, user, timeout=left, greeting=greeting)
        except OSError as error:
            reason = error
        except Silent as error:
            reason, greeting = error, greeting * 2
        if not machine.alive():
            raise BackendFailure(
                f"target {machine.name} ended before it answered", details=(str(reason),)
            )
        if time.monotonic() + pause > until:
            raise TimedOut(
                f"waited {timeout:g} seconds for {machine.name} to accept a connection",
                details=(f"last: {reason}", *getattr(reason, "details", ())),
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
