"""What a person and a program are told when a command fails."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from gbuild import __version__
from gbuild.errors import INTERRUPTED, Bug, GbuildError, MissingTool
from gbuild.model.event import Event

if TYPE_CHECKING:
    from gbuild.cli._session import Session

_USAGE: Final = 2
_HOST: Final = 3
_BUILD_HALF: Final = frozenset({"paramiko", "cryptography"})
"""What ``gbuild[build]`` brings, which gverify and gget do without."""
_IN_THE_WAY: Final = "something else lies where gbuild needs a file or folder: move it away"
_HOST_ERRORS: Final = {
    errno.ENOENT: "look whether it is still there, and whether the folder that you are in is",
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.ELOOP: _IN_THE_WAY,
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
    errno.EIO: "check the disk",
    errno.ENOSPC: "free some space, or choose another folder with --store and --workspace",
    errno.EDQUOT: "free some space, or choose another folder with --store and --workspace",
    errno.EACCES: "check who owns it, or choose another folder with --store and --workspace",
    errno.EPERM: "check who owns it, or choose another folder with --store and --workspace",
    errno.EROFS: "choose a folder that can be written with --store and --workspace",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this host",
    errno.ENOMEM: "close other programs, or use fewer jobs at once",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed run: the exit code, a word for programs and the text for people."""

    exit_code: int
    kind: str
    brief: str
    details: tuple[str, ...] = ()
    hint: str | None = None
    cause: BaseException

    @property
    def is_bug(self) -> bool:
        """Say whether gbuild itself is at fault."""
        return self.exit_code == Bug.exit_code


def classify(error: BaseException) -> Failure:
    """Translate what a command raised."""
    if isinstance(error, ModuleNotFoundError) and error.name in _BUILD_HALF:
        what = f"the Python library {error.name}, which builds need, is not installed"
        error = MissingTool(what, hint="pip install 'gbuild[build]'")
    match error:
        case GbuildError():
            return Failure(
                exit_code=error.exit_code,
                kind=type(error).__name__,
                brief=error.brief,
                details=error.details,
                hint=error.hint,
                cause=error,
            )
        case click.UsageError():
            return _usage(error)
        case KeyboardInterrupt() | click.exceptions.Abort():
            return Failure(
                exit_code=INTERRUPTED, kind="Interrupted", brief="interrupted", cause=error
            )
        case OSError() if error.errno in _HOST_ERRORS:
            return Failure(
                exit_code=_HOST,
                kind="HostFailure",
                brief=_told(error),
                hint=_HOST_ERRORS[error.errno],
                cause=error,
            )
        case MemoryError():
            return Failure(
                exit_code=_HOST,
                kind="HostFailure",
                brief="this host has no memory left",
                hint=_HOST_ERRORS[errno.ENOMEM],
                cause=error,
            )
        case _:
            return Failure(
                exit_code=Bug.exit_code,
                kind="Bug",
                brief=f"this is a bug in gbuild: {type(error).__name__}: {error}",
                cause=error,
            )


def _told(error: OSError) -> str:
    """Return what the system said, and of which path; the number says nothing to a person."""
    names = [n for n in (error.filename, error.filename2) if isinstance(n, str | bytes)]
    return ": ".join([error.strerror or str(error), *map(os.fsdecode, names)])


def write_failure(failure: Failure, session: Session) -> None:
    """Tell the failure on standard error, and with ``--json`` as its answer if it has none."""
    hint = _keep_traceback(failure) if failure.is_bug and not session.debug else failure.hint
    if session.debug:
        _print_traceback(failure)
    if not session.json:
        sys.stderr.write(_text(failure, hint))
        sys.stderr.flush()
        return
    session.sink(Event("error", failure.brief, {"code": failure.exit_code}))
    if not session.answered:
        session.answer({"error": _fields(failure, hint)})


def _fields(failure: Failure, hint: str | None) -> dict[str, object]:
    return {
        "code": failure.exit_code,
        "kind": failure.kind,
        "brief": failure.brief,
        "details": list(failure.details),
        "hint": hint,
    }


def _usage(error: click.UsageError) -> Failure:
    path = error.ctx.command_path if error.ctx else ""
    nothing_given = isinstance(error, click.exceptions.NoArgsIsHelpError)
    return Failure(
        exit_code=_USAGE,
        kind="UsageFailure",
        brief="a command is missing" if nothing_given else error.format_message(),
        details=(error.message,) if nothing_given else (),
        hint=f"{path} --help" if path else None,
        cause=error,
    )


def _text(failure: Failure, hint: str | None) -> str:
    from gbuild.ui.escape import terminal

    lines = [f"error: {failure.brief}"]
    lines += [f"  {line}" for detail in failure.details for line in detail.split("\n")]
    if hint:
        lines.append("hint: " + hint.replace("\n", "\n      "))
    return terminal("\n".join(lines)) + "\n"


def _print_traceback(failure: Failure) -> None:
    import traceback

    from gbuild.ui.escape import terminal

    sys.stderr.write(terminal("".join(traceback.format_exception(failure.cause))))


def _keep_traceback(failure: Failure) -> str:
    """Write the traceback to a file of its own and return what to do with it."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(failure.cause))
    try:
        descriptor, name = tempfile.mkstemp(prefix="gbuild-bug-", suffix=".txt")
    except OSError:
        return "run the same command with --debug and report what it prints"
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"gbuild {__version__}, Python {sys.version}\n{text}")
    return f"please report it, with the traceback in {name}"
