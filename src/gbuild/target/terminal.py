"""A person's terminal on a shell in a target, byte for byte in both directions.

What the target writes reaches the terminal as it is: full-screen programs need that. Only a
person who asks for a shell gets it; logs and command output are escaped elsewhere.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gbuild.target.ssh import Connection, Session

_START = 60.0
_PIECE = 4096


def interact(connection: Connection, *, keyboard: int, screen: int, terminal: str) -> int | None:
    """Run the login shell until it ends and return its status (None: the connection was lost).

    Args:
        connection: as whom, and where.
        keyboard: descriptor of the terminal to read; raw meanwhile.
        screen: descriptor to write to.
        terminal: its kind, as in ``TERM``.
    """
    size = shutil.get_terminal_size()
    session = connection.session(b"", timeout=_START, terminal=(terminal, *size))
    done, tell = os.pipe()
    printer = threading.Thread(target=_print, args=(session, screen, tell), daemon=True)
    try:
        with session, _raw(keyboard), _following_size(session):
            printer.start()
            _type(session, keyboard, done)
            printer.join()
            return session.status(1.0)
    finally:
        os.close(done)


def _type(session: Session, keyboard: int, done: int) -> None:
    """Send what is typed until the shell has ended."""
    while True:
        ready, _, _ = select.select([keyboard, done], [], [])
        if done in ready:
            return
        typed = os.read(keyboard, _PIECE)
        if not typed:
            session.end_input()
            select.select([done], [], [])
            return
        session.send(typed)


def _print(session: Session, screen: int, tell: int) -> None:
    try:
        while not session.ended:
            piece = session.read(1.0)
            rest = memoryview(piece[1]) if piece is not None else memoryview(b"")
            while rest:
                rest = rest[os.write(screen, rest) :]
            if piece is None and session.exited:
                return
    finally:
        os.close(tell)


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextmanager
def _following_size(session: Session) -> Iterator[None]:
    def resize(_number: int, _frame: FrameType | None) -> None:
        session.resize(*shutil.get_terminal_size())

    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
