"""Running a git that talks to a remote: its progress is told, and silence ends it.

This is not done through :func:`gbuild.host.process.run`, which returns both streams at the end:
a first fetch may take minutes, and only git's progress shows whether the remote still answers.
"""

from __future__ import annotations

import re
import select
import shutil
import subprocess  # noqa: TID251 - streams, see above
import time
from collections.abc import Sequence

from gbuild.errors import TimedOut
from gbuild.host.git.command import Git, failure
from gbuild.host.process import CLEAN_ENVIRONMENT, Completed
from gbuild.model.event import Event, Sink

_RECEIVED = re.compile(rb"Receiving objects: .*?, ([0-9.]+) (bytes|KiB|MiB|GiB)")
_LINE_END = re.compile(rb"[\r\n]+")
_UNITS = {b"bytes": 1, b"KiB": 1 << 10, b"MiB": 1 << 20, b"GiB": 1 << 30}
_TAIL = 1 << 14
_INTERVAL = 0.2


def watch(git: Git, words: Sequence[str], *, item: str, sink: Sink, idle: float) -> None:
    """Run ``git <words>``, which writes progress to its standard error.

    Args:
        git: where and how.
        words: the command.
        item: what the progress is of.
        sink: gets ``progress`` events with the bytes received; their total is not known.
        idle: seconds without a word after which git is ended.

    Raises:
        ToolFailed: git failed.
        HostFailure: the disk is full.
        TimedOut: it was silent for ``idle`` seconds.
    """
    # dies with this process; its lock is free as soon as its own children have noticed
    tie = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
    argv = (*tie, *git.command(*words))
    with subprocess.Popen(
        argv,
        env={**CLEAN_ENVIRONMENT, **git.environment},
        cwd=git.work_tree or git.git_dir,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=git.keep,
        bufsize=0,
    ) as child:
        try:
            told = _listen(child, item, sink, idle)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise failure(Completed(argv, child.returncode, b"", told), git.git_dir)


def _listen(child: subprocess.Popen[bytes], item: str, sink: Sink, idle: float) -> bytes:
    """Read what git says until it ends; return the lines that are no progress."""
    if child.stderr is None:
        return b""
    kept, rest, next_told, received = b"", b"", 0.0, 0
    while True:
        if not select.select([child.stderr], [], [], idle)[0]:
            raise TimedOut(f"git waited {idle:g} seconds for {item}")
        piece = child.stderr.read(1 << 16)
        *lines, rest = _LINE_END.split(rest + piece) if piece else [rest, b""]
        for line in lines:
            if match := _RECEIVED.match(line):
                received = int(float(match[1]) * _UNITS[match[2]])
            elif b"%" not in line and line:
                kept = (kept + line + b"\n")[-_TAIL:]
        if received and (not piece or time.monotonic() >= next_told):
            next_told = time.monotonic() + _INTERVAL
            total = 0 if piece else received
            sink(Event("progress", item, {"item": item, "done": received, "total": total}))
        if not piece:
            return kept
