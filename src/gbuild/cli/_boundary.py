"""The one boundary of every command: shared options, errors to exit codes, signals, pipes.

A command is written as::

    @click.command()
    @click.option(...)
    @shared_options()
    def gverify(session: Session, ...) -> int | None: ...

    def main() -> None:
        run(gverify)

It returns None or an exit code, raises :class:`gbuild.errors.GbuildError` for every expected
failure, tells progress to ``session.sink``, writes its answer with ``session.say`` (people) and
``session.answer`` (``--json``).
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from gbuild import __version__
from gbuild.cli._session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import TextIO

    Command = Callable[..., Any]

__all__ = ["Session", "backend_options", "run", "shared_options"]

_BROKEN_PIPE: Final = 128 + 13
"""As the shell says it of a program that SIGPIPE ended; Windows has no such signal."""
_ENDING_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def shared_options(*, store: bool = True, workspace: bool = True) -> Callable[[Command], Command]:
    """Add the options that every command has and pass a :class:`Session` as first argument.

    Every command takes all of them, so that a script can give them to each; ``--help`` leaves
    out what this one does not need.

    Args:
        store: the command uses the store (``--store DIR``).
        workspace: the command works in a workspace (``--workspace DIR``).
    """
    options = [
        _stored("--debug", is_flag=True, help="Show the traceback of every error."),
        _stored("--quiet", "-q", is_flag=True, help="Show warnings and errors only."),
        _stored(
            "--json",
            is_flag=True,
            help="One JSON object on standard output, events as JSON lines on standard error.",
        ),
        _folder("--store", "store_folder", "Where blobs and images are kept.", shown=store),
        _folder(
            "--workspace", "workspace_folder", "Folder to work in [default: here].", shown=workspace
        ),
    ]

    def decorate(function: Command) -> Command:
        def invoke(*args: Any, **kwargs: Any) -> Any:
            context = click.get_current_context()
            session = context.ensure_object(Session)
            session.command = context.command_path.replace(" ", ".")
            return function(session, *args, **kwargs)

        # click keeps the options declared below this decorator on the function itself.
        wrapped: Command = update_wrapper(invoke, function)
        for option in options:
            wrapped = option(wrapped)
        return click.version_option(__version__, message="%(prog)s %(version)s")(wrapped)

    return decorate


def backend_options(function: Command) -> Command:
    """Add the options that choose a backend; :attr:`Session.backend_name` says which."""
    options = (
        _stored(
            "--backend-option",
            "backend_pairs",
            multiple=True,
            metavar="KEY=VALUE",
            help="An option of the backend; may be given again.",
        ),
        _stored("--backend", "backend_name", metavar="NAME", help="What makes targets."),
    )
    for option in options:
        function = option(function)
    return function


def run(command: click.Command, *, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command to its end; never returns. Without ``arguments`` it is this process's own."""
    _open_streams()
    for number in _ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session(command=command.name or "gbuild", environment=dict(os.environ))
    code = _flushed(_outcome(command, given, session))
    if arguments is None:
        _leave(code)
    sys.exit(code)


def _outcome(command: click.Command, arguments: list[str], session: Session) -> int:
    """Return the exit code of the command, having told the person what failed."""
    try:
        code = _invoke(command, arguments, session)
        session.close()
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError as error:
        return _BROKEN_PIPE if _reader_is_gone() else _failed(error, arguments, session)
    except BaseException as error:  # the boundary: whatever it is, the person gets an exit code
        return _failed(error, arguments, session)
    return code


def _invoke(command: click.Command, arguments: list[str], session: Session) -> int:
    name = session.command
    if instruction := session.environment.get(f"_{name.upper()}_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(command, {}, name, f"_{name.upper()}_COMPLETE", instruction)
    with command.make_context(name, [*arguments], obj=session) as context:
        code = command.invoke(context)
    return code if isinstance(code, int) else 0


def _failed(error: BaseException, arguments: list[str], session: Session) -> int:
    from gbuild.cli._failure import classify, write_failure

    session.close()
    failure = classify(error)
    if isinstance(error, click.UsageError) and "--json" in arguments:
        session.json = True  # the error may have come before the option was read
    with suppress(OSError):  # when nobody can be told any more, the exit code still tells
        write_failure(failure, session)
    return failure.exit_code


def _reader_is_gone() -> bool:
    """Say whether it was our own standard output that broke; where nobody can tell, it was."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Turn a request to end into what ctrl-C does, so that every clean-up runs, once."""
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _open_streams() -> None:
    """Put /dev/null where the caller closed a stream: no file of ours may get its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            if null != number:
                os.close(null)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # both are text


def _flushed(code: int) -> int:
    """Return the exit code; what a stream could not take must not become a traceback."""
    if (error := _flush(sys.stdout)) is not None:
        code = code or (_BROKEN_PIPE if error.errno == errno.EPIPE else 3)
    _flush(sys.stderr)  # progress and complaints that nobody reads change no result
    return code


def _leave(code: int) -> None:
    """End the process at once, unless a thread must be waited for.

    To take hundreds of modules down, as Python would, lasts longer than many a command.
    """
    here = threading.current_thread()
    if all(each is here or each.daemon for each in threading.enumerate()):
        atexit._run_exitfuncs()  # noqa: SLF001 (nothing else runs them without the rest)
        os._exit(code)


def _flush(stream: TextIO) -> OSError | None:
    """Write what is left, or throw it away and return why."""
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _stored(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    """Return an option whose value goes to the session and not to the command."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        session = context.find_object(Session)
        if session is not None and value not in (None, False):
            setattr(session, parameter.name or "", value)

    return click.option(*names, expose_value=False, is_eager=True, callback=keep, **attributes)


def _folder(flag: str, name: str, text: str, *, shown: bool) -> Callable[[Command], Command]:
    kind = click.Path(file_okay=False)
    return _stored(flag, name, type=kind, metavar="DIR", help=text, hidden=not shown)
