"""Streams to programs that run beside this process, such as ssh."""

from __future__ import annotations

import socket
import subprocess  # noqa: TID251 - streams that live beside this process
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from gbuild.host.process import CLEAN_ENVIRONMENT

_HEARD = 8
_LINE = 400


def last_words() -> deque[str]:
    """Return what :func:`begin` may add to: the last lines are kept."""
    return deque(maxlen=_HEARD)


def begin(
    argv: Sequence[str],
    heard: deque[str],
    *,
    name: str,
    env: Mapping[str, str] | None = None,
    own_session: bool = False,
) -> tuple[socket.socket, threading.Thread]:
    """Start ``argv`` and return a stream to its standard input and output.

    What it complains of is added to ``heard``, until it ends; the thread returned ends then, too.
    ``env`` is added to the clean environment; in a session of its own it does not hear a
    terminal's ctrl-C.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            argv,
            env={**CLEAN_ENVIRONMENT, **(env or {})},
            cwd="/",
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
            start_new_session=own_session,
        )
    # It ends when either end is closed; somebody must hear its last words and wait for it.
    waiter = threading.Thread(
        target=_attend, args=(process, Path(argv[0]).name, heard), name=name, daemon=True
    )
    waiter.start()
    return ours, waiter


def _attend(process: subprocess.Popen[bytes], program: str, heard: deque[str]) -> None:
    """Listen to a process until it ends, and say how when that was no good end."""
    with process:
        for line in process.stderr or ():
            heard.append(f"{program}: {line[:_LINE].decode(errors='replace').rstrip()}")
    if process.returncode:
        heard.append(f"{program} ended with status {process.returncode}")
