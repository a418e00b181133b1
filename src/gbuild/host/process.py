"""Run a program of this host: no shell, a clean environment, one error when it fails."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gbuild.errors import HostFailure, MissingTool, TimedOut
from gbuild.host.programs import clean_environment, how_to_install

CLEAN_ENVIRONMENT: Mapping[str, str] = clean_environment()
"""The whole environment of a child unless the caller adds to it."""

_TAIL = 20


class ToolFailed(HostFailure):
    """A program of this host ended with a status that its caller did not expect."""

    def __init__(self, completed: Completed, *, hint: str | None = None) -> None:
        tail = completed.stderr.decode(errors="replace").splitlines()[-_TAIL:]
        super().__init__(
            f"{Path(completed.argv[0]).name} failed with status {completed.returncode}",
            details=(f"command: {shlex.join(completed.argv)}", *tail),
            hint=hint,
        )
        self.completed = completed


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended: its argv, status (negative: signal) and both streams."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes


def which(tool: str, *, package: str) -> Path:
    """Find a program in the clean PATH.

    Raises:
        MissingTool: it is not there; the hint names the Debian package that has it.
    """
    found = shutil.which(tool, path=CLEAN_ENVIRONMENT.get("PATH"))
    if found is None:
        raise MissingTool(
            f"{tool} is not installed on this host",
            hint=how_to_install(package),
        )
    return Path(found)


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
    lingering: bool = False,
) -> Completed:
    """Run ``argv`` to its end and return both streams.

    ``env`` is added to :data:`CLEAN_ENVIRONMENT`; nothing of the caller's environment is passed.
    ``lingering`` is for programs that may leave a daemon behind which holds their streams.

    Raises:
        ToolFailed: the status is not 0 and ``check`` is set.
        MissingTool: the program does not exist.
        TimedOut: it ran longer than ``timeout`` seconds (and was killed).
    """
    words = tuple(os.fspath(word) for word in argv)
    try:
        done = (_by_files if lingering else _by_pipes)(
            words,
            env={**CLEAN_ENVIRONMENT, **(env or {})},
            cwd=cwd,
            input=stdin,
            timeout=timeout,
            pass_fds=pass_fds,
        )
    except FileNotFoundError as error:
        raise MissingTool(f"{words[0]} is not installed on this host") from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{words[0]} took longer than {timeout:g} seconds") from error
    completed = Completed(words, done.returncode, done.stdout, done.stderr)
    if check and done.returncode != 0:
        raise ToolFailed(completed)
    return completed


def _by_pipes(words: Sequence[str], **settings: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: ANN401
    return subprocess.run(words, capture_output=True, check=False, **settings)


def _by_files(words: Sequence[str], **settings: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: ANN401
    """Take the streams by files: a pipe would end only with the last process that holds it."""
    import tempfile  # rarely needed

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(words, stdout=out, stderr=err, check=False, **settings)
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(words, done.returncode, out.read(), err.read())
