"""Run a program of ours as mapped root, to handle files that belong to the users of a map."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from gbuild.errors import BackendFailure, TimedOut
from gbuild.host.idmap import IdMap
from gbuild.host.process import Completed
from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.spawn import Launcher

_NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID


def run_trusted(
    idmap: IdMap,
    program: Path,
    args: Sequence[str],
    *,
    folders: Sequence[Path] = (),
    stdin: int | bytes = b"",
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
    timeout: float | None = None,
    enter: Callable[[int], None] | None = None,
) -> Completed:
    """Call ``main(args) -> int`` of a Python file as root of new user, mount and pid namespaces.

    The program imports the standard library and :mod:`gbuild.host.sandbox` only, at its top. It
    starts with an empty environment in ``/``, and ends with this process. ``folders`` are made
    reachable under their own paths even below a folder that is closed to the mapped root; to be
    changed they must belong to the map (``idmap.outside(0)``).

    ``stdin`` is bytes or a descriptor; ``stdout`` and ``stderr`` a descriptor, or PIPE to be
    returned. Status 70 is an exception in the program, its traceback on stderr. ``enter`` is
    called with the first process's pid before it does anything, to put it under limits.

    Raises:
        BackendFailure: the namespaces could not be made.
        TimedOut: it ran longer than ``timeout`` seconds; nothing of it is left.
    """
    source = stdin if isinstance(stdin, int) else subprocess.PIPE
    launcher = Launcher(stdin=source, stdout=stdout, stderr=stderr, pass_fds=pass_fds)
    places = [str(folder.absolute()) for folder in folders]
    try:
        if enter is not None:
            enter(launcher.process.pid)
        launcher.send(
            {
                "namespaces": _NAMESPACES,
                "mapped": True,
                "before": [("open", f"folder{n}", path) for n, path in enumerate(places)],
                "program": str(program.absolute()),
                "argv": list(args),
                "folders": places,
            }
        )
        launcher.map_users(idmap)
        return _finish(launcher, program, args, stdin, timeout)
    finally:
        launcher.end()


def _finish(
    launcher: Launcher,
    program: Path,
    args: Sequence[str],
    stdin: int | bytes,
    timeout: float | None,
) -> Completed:
    data = stdin if isinstance(stdin, bytes) else None
    try:
        out, err = launcher.process.communicate(data, timeout)
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{program.name} took longer than {timeout:g} seconds") from error
    status = launcher.process.returncode
    if launcher.failure:
        raise BackendFailure("the sandbox could not be made", details=(launcher.failure,))
    return Completed((program.name, *args), status, out or b"", err or b"")
