"""``gtarget``: start, use and end targets by hand."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gbuild.cli import _backends
from gbuild.cli._boundary import Session, backend_options, run, shared_options
from gbuild.cli._options import NEW_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gbuild.target.backend import Backend
    from gbuild.target.ssh import Stream

Answer = TypeVar("Answer")

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_USER = click.option(
    "--user", metavar="USER", help="Who does it in the target [default: the build user]."
)
_NAME = click.argument("name")
_MEBI = 1 << 20
_FULL = ("No space left on device", "Disk quota exceeded", ": Wrote only ")
"""What tar and mkdir say of a full disk, in English as they are asked to."""


@click.group(name="gtarget")
def gtarget() -> None:
    """Start, use and end targets: running, disposable copies of images."""


@gtarget.command()
@click.argument("descriptor", type=_FILE, required=False)
@click.option("--suite", help="Which of the descriptor's suites [default: its only one].")
@click.option("--arch", help="Which of its architectures [default: its only one].")
@click.option("--name", help="The target's name [default: NAME-SUITE-ARCH].")
@click.option("--network", is_flag=True, help="Let the target reach the network.")
@click.option("--allow-sudo", is_flag=True, help="Let a descriptor with 'sudo: true' have it.")
@click.option(
    "-m", "--memory", type=click.IntRange(64), metavar="MIB", help="Memory of its processes."
)
@click.option("--disk", type=click.IntRange(16), metavar="MIB", help="Its scratch space.")
@click.option("--scratch", type=click.Choice(["tmpfs", "disk"]), default="tmpfs", show_default=True)
@click.option("--offline", is_flag=True, help="Use nothing but the store.")
@backend_options
@shared_options()
def start(
    session: Session,
    descriptor: Path | None,
    *,
    suite: str | None,
    arch: str | None,
    name: str | None,
    network: bool,
    allow_sudo: bool,
    memory: int | None,
    disk: int | None,
    scratch: str,
    offline: bool,
) -> None:
    """Start a target from one environment of DESCRIPTOR; it lives until `gtarget stop`.

    Without DESCRIPTOR it has the packages of the base alone.
    """
    from gbuild.engine.targets import start_target
    from gbuild.target.backend import Limits

    info = start_target(
        descriptor,
        session.make_parts(),
        session.workspace,
        suite=suite,
        arch=arch,
        name=name,
        network=network,
        allow_sudo=allow_sudo,
        limits=Limits(memory=memory and memory * _MEBI, disk=disk and disk * _MEBI),
        scratch="disk" if scratch == "disk" else "tmpfs",
        offline=offline,
    )
    session.say(info.name)
    session.answer({"name": info.name, "backend": info.backend, "pid": info.pid})


@gtarget.command(
    name="exec",
    # What follows the name belongs to the command, also what looks like an option of ours.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@_NAME
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_USER
@click.option("-i", "--stdin", is_flag=True, help="Give the command our standard input.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Kill a command that takes longer.",
)
@backend_options
@shared_options(workspace=False)
def execute(
    session: Session,
    name: str,
    command: tuple[str, ...],
    *,
    user: str | None,
    stdin: bool,
    timeout: float | None,
) -> int:
    """Run COMMAND in the target NAME; its exit status becomes ours (128 + n for signal n)."""
    from gbuild.target.shell import Target

    words = command[1:] if command[0] == "--" else command
    if not words:
        raise click.UsageError("there is no command after --")
    machine = _backends.attach(session, name)
    with Target(machine, sink=session.sink) as target:
        completed = target.run(
            words,
            user=user or machine.user,
            stdin=_pass_input if stdin else None,
            timeout=timeout,
            on_output=None if session.json else _Screen().show,
        )
    session.answer(
        {
            "status": completed.returncode,
            "stdout": completed.stdout.decode(errors="replace"),
            "stderr": completed.stderr.decode(errors="replace"),
        }
    )
    code = completed.returncode
    return code if code >= 0 else 128 - code


@gtarget.command()
@_NAME
@_USER
@backend_options
@shared_options(workspace=False)
def shell(session: Session, name: str, *, user: str | None) -> int:
    """Open a shell in the target NAME, on this terminal.

    What programs in the target write reaches the terminal unfiltered.
    """
    from gbuild.errors import UsageFailure

    if session.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageFailure("a shell needs a terminal", hint=f"gtarget exec {name} COMMAND")
    from gbuild.target.ready import connect_when_ready
    from gbuild.target.terminal import interact

    machine = _backends.attach(session, name)
    kind = session.environment.get("TERM", "vt100")
    with connect_when_ready(machine, user or machine.user, timeout=60) as connection:
        status = interact(
            connection, keyboard=sys.stdin.fileno(), screen=sys.stdout.fileno(), terminal=kind
        )
        if status is None:
            raise connection.lost("the shell ran")
    return status if status >= 0 else 128 - status


@gtarget.command()
@_NAME
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.argument("folder")
@_USER
@backend_options
@shared_options(workspace=False)
def put(
    session: Session,
    name: str,
    sources: tuple[Path, ...],
    folder: str,
    *,
    user: str | None,
) -> None:
    """Copy SOURCES (files and folders) into FOLDER of the target NAME."""
    from gbuild.target.shell import Target

    machine = _backends.attach(session, name)
    who = user or machine.user
    with _given_paths(), Target(machine, sink=session.sink) as target:
        for source in sources:
            inside = source.absolute().name
            if source.is_dir():
                target.put_tree(source, f"{folder}/{inside}", user=who)
            else:
                target.put_files([(source, inside)], folder, user=who)
    session.answer({"name": name, "folder": folder, "sources": [str(path) for path in sources]})


@gtarget.command()
@_NAME
@click.argument("source")
@click.argument("dest", type=NEW_PATH)
@_USER
@backend_options
@shared_options(workspace=False)
def get(session: Session, name: str, source: str, dest: Path, *, user: str | None) -> None:
    """Copy SOURCE (a file or a folder of the target NAME) to DEST, which must not exist."""
    from gbuild.target.shell import Target, TreeLimits

    machine = _backends.attach(session, name)
    who = user or machine.user
    with _given_paths(), Target(machine, sink=session.sink) as target:
        folder = target.run(("test", "-d", source), user=who).returncode == 0
        copy = target.get_tree if folder else target.get_file
        copy(source, dest.absolute(), limits=TreeLimits(), user=who)
    session.answer({"name": name, "source": source, "dest": str(dest)})


@contextmanager
def _given_paths() -> Iterator[None]:
    """Tell that a path of the command line is not the user's to write or read."""
    from gbuild.errors import UsageFailure
    from gbuild.target.shell import PathRefused

    try:
        yield
    except PathRefused as error:
        full = any(words in line for line in error.details for words in _FULL)
        hint = (
            "make room there, or start a target with more (gtarget start --disk MIB)"
            if full
            else "give another path, or a user who may use this one (--user root)"
        )
        raise UsageFailure(error.brief, details=error.details, hint=hint) from error


@gtarget.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@backend_options
@shared_options(workspace=False)
def stop(session: Session, names: tuple[str, ...]) -> None:
    """End targets and everything in them."""
    for name in names:
        _backends.attach(session, name).stop()
    session.answer({"stopped": list(names)})


@gtarget.command(name="list")
@backend_options
@shared_options(workspace=False)
def list_targets(session: Session) -> None:
    """List your targets on every backend, running and dead."""
    import time

    from gbuild.ui.table import plain

    infos, silent = _gather(session, lambda backend: backend.targets())
    now = time.time()
    rows = [
        (info.name, info.backend, info.state, _age(now - info.started), str(info.pid or "-"))
        for info in infos
    ]
    if rows:
        session.say(plain(("name", "backend", "state", "age", "pid"), rows))
    session.answer(
        {
            "targets": [
                {
                    "name": info.name,
                    "backend": info.backend,
                    "state": info.state,
                    "started": info.started,
                    "pid": info.pid,
                }
                for info in infos
            ],
            "silent": silent,
        }
    )


@gtarget.command()
@click.option(
    "--forget",
    multiple=True,
    metavar="NAME",
    help="Only strike this dead target off: its host or daemon is gone for good.",
)
@backend_options
@shared_options(workspace=False)
def prune(session: Session, forget: tuple[str, ...]) -> None:
    """Remove what dead targets and killed runs left behind, on every backend."""
    from gbuild.ui.escape import terminal

    forgotten = [what for name in forget for what in _backends.forget(session, name)]
    for what in forgotten:
        session.say(terminal(f"forgot {what}"))
    removed, silent = ((), {}) if forget else _gather(session, lambda backend: backend.prune())
    for what in removed:
        session.say(terminal(f"removed {what}"))
    session.answer({"forgotten": forgotten, "removed": list(removed), "silent": silent})


def _gather(
    session: Session, question: Callable[[Backend], tuple[Answer, ...]]
) -> tuple[tuple[Answer, ...], dict[str, str]]:
    """Put the answers of all backends together, and say which could not answer and why.

    A person is warned of a silent backend only if targets of it may still be there.
    """
    from gbuild.errors import GbuildError
    from gbuild.model.event import Event

    found: list[Answer] = []
    silent: dict[str, str] = {}
    for name, answer in _backends.ask(session, question):
        if not isinstance(answer, GbuildError):
            found += answer
            continue
        silent[name] = answer.brief
        if _backends.has_traces(session, name):
            session.sink(Event("warning", f"{name}: {answer.brief}"))
    return tuple(found), silent


class _Screen:
    """Shows output: bytes as they are into a file or pipe, escaped on a terminal."""

    def __init__(self) -> None:
        import codecs

        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": make("replace"), "stderr": make("replace")}

    def show(self, stream: Stream, data: bytes) -> None:
        """Write one piece."""
        out = sys.stdout if stream == "stdout" else sys.stderr
        if out.isatty():
            from gbuild.ui.escape import terminal

            out.write(terminal(self._decoders[stream].decode(data)))
        else:
            out.buffer.write(data)
        out.flush()


def _pass_input(write: Callable[[bytes], bool]) -> None:
    import select

    while write(b""):
        ready, _, _ = select.select([0], [], [], 0.2)
        if ready and not ((data := os.read(0, 1 << 16)) and write(data)):
            return


def _age(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def main() -> None:
    """Run the command of this process."""
    run(gtarget)


if __name__ == "__main__":
    main()
