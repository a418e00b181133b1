"""Commands and trees on a machine, over SSH: the same above every backend."""

from __future__ import annotations

import os
import posixpath
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from gbuild.errors import HostFailure
from gbuild.host.process import Completed
from gbuild.model.event import Event, Sink, discard
from gbuild.target.backend import Machine
from gbuild.target.command import (
    Command,
    CommandFailed,
    Feeder,
    Input,
    Output,
    Outputs,
    PathRefused,
)
from gbuild.target.ready import connect_when_ready
from gbuild.target.receive_tree import TreeLimits, receive_tree
from gbuild.target.send_tree import TreeEntry, file_entries, send_tree, tree_entries
from gbuild.target.ssh import Connection

__all__ = ["CommandFailed", "Input", "Output", "PathRefused", "Target", "TreeLimits"]

_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_EXTRACT = 'umask 022; mkdir -p -- "$1" && exec tar -x -p --no-same-owner -b 128 -f - -C "$1"'
_CREATE = ("tar", "--create", "--format=gnu", "--hard-dereference", "--blocking-factor=128")
_MKDIR_FAILED, _TAR_FAILED = 1, 2
"""Their statuses for what they could not open, make or write; tar's 1 is of files that changed."""


class Target:
    """A machine one can run commands on and move trees to and from.

    Leaving the context closes the connections; the machine belongs to who started it.
    Safe to use from several threads.

    Args:
        machine: what to talk to.
        sink: is told what a person should know.
        label: the job (``<suite>-<arch>``) that events belong to.
        ready: seconds the machine has to answer at all.
    """

    def __init__(
        self, machine: Machine, *, sink: Sink = discard, label: str = "", ready: float = 60.0
    ) -> None:
        self.machine = machine
        self._sink = sink
        self._label = label
        self._ready = ready
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        stdin: Input | None = None,
        timeout: float | None = None,
        on_output: Output | None = None,
        capture: int = 1 << 20,
        check: bool = False,
    ) -> Completed:
        """Run ``argv`` to its end, in the user's home.

        Args:
            argv: the words; each reaches the command as it is, whatever is in it.
            user: who runs it.
            env: the whole environment of the command; None gives it the login's.
            stdin: its input; None is empty.
            timeout: seconds; after that its process group is killed (OpenSSH does not do that
                for root: what must be gone is ended by stopping the machine).
            on_output: is given both streams live, in the order of arrival.
            capture: bytes of each stream that are kept, the last ones.
            check: whether a status other than 0 is an error.

        Returns:
            Its status (negative: signal) and the end of both streams. Output of children that
            outlive the command is waited for as long as they write, at most ten seconds.

        Raises:
            TimedOut: it took longer than ``timeout``.
            CommandFailed: the status was not 0 and ``check`` is set.
            BackendFailure: the connection or the machine was lost.
        """
        outputs = Outputs(capture, on_output)
        connection = self._connection(user)
        with (
            Command(connection, argv, env=env, timeout=timeout) as command,
            Feeder(command, stdin) as feeder,
        ):
            command.drain(outputs)
            feeder.check()
            completed = command.completed(outputs)
        if check and completed.returncode != 0:
            raise CommandFailed(completed, self.machine.name)
        return completed

    def put_files(
        self,
        files: Iterable[tuple[Path, str]],
        dest: str,
        *,
        user: str = "root",
        mtime: int = 0,
        timeout: float | None = None,
    ) -> None:
        """Copy files to ``dest``/name (folders are made), owned by ``user``, sorted by name.

        Modes become 0755 (executable by its owner) or 0644, times ``mtime``.

        Raises:
            PathRefused: ``user`` cannot write there, or it is full.
        """
        self._put(file_entries(files), dest, user, mtime, timeout)

    def put_tree(
        self,
        source: Path,
        dest: str,
        *,
        user: str = "root",
        mtime: int = 0,
        timeout: float | None = None,
    ) -> None:
        """Copy what is in the folder ``source`` into ``dest`` (made if absent), sorted by name.

        Nothing of the host shows: the owner is ``user``, modes are 0755 or 0644, times ``mtime``.
        Raises as :meth:`put_files` does.
        """
        self._put(tree_entries(source), dest, user, mtime, timeout)

    def get_tree(
        self,
        source: str,
        dest: Path,
        *,
        limits: TreeLimits,
        user: str = "root",
        dereference: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Copy what is in the folder ``source`` to ``dest``, which must not exist yet.

        With ``dereference`` a symbolic link arrives as what it points to. What is refused, and
        how, says :func:`gbuild.target.receive_tree.receive_tree`.

        Raises:
            PathRefused: something there is absent, or ``user`` cannot read it.
        """
        self._get(source, ".", dest, limits, user, timeout, dereference=dereference)

    def get_file(
        self,
        source: str,
        dest: Path,
        *,
        limits: TreeLimits,
        user: str = "root",
        timeout: float | None = None,
    ) -> None:
        """Copy the file ``source`` to ``dest``, which must not exist yet.

        A symbolic link is followed; limits and refusals are those of :meth:`get_tree`.
        """
        if os.path.lexists(dest):
            raise HostFailure(f"{dest} exists already", hint="move it away")
        folder, name = posixpath.split(source)
        with tempfile.TemporaryDirectory(dir=dest.parent, prefix=f".{dest.name}.") as above:
            tree = Path(above, "tree")
            self._get(folder or ".", f"./{name}", tree, limits, user, timeout, dereference=True)
            (tree / name).rename(dest)

    def _get(
        self,
        folder: str,
        what: str,
        dest: Path,
        limits: TreeLimits,
        user: str,
        timeout: float | None,
        *,
        dereference: bool,
    ) -> None:
        follow = ("--dereference",) if dereference else ()
        argv = (*_CREATE, *follow, f"--directory={folder}", "--file=-", what)
        errors = Outputs(1 << 16, None)
        with Command(self._connection(user), argv, env=_PLAIN, timeout=timeout) as command:
            command.session.end_input()

            def finish() -> None:
                completed = command.completed(errors)
                if completed.returncode == _TAR_FAILED:
                    path = posixpath.normpath(posixpath.join(folder, what))
                    raise self._refused(completed, f"{user} cannot read {path}")
                if completed.returncode != 0:
                    raise CommandFailed(completed, self.machine.name)

            receive_tree(
                lambda: command.pull(errors), dest, limits=limits, finish=finish, warn=self._warn
            )

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            connections = list(self._connections.values())
            self._connections.clear()
        for connection in connections:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _warn(self, text: str) -> None:
        self._sink(Event("warning", text, {"job": self._label} if self._label else {}))

    def _connection(self, user: str) -> Connection:
        with self._lock:
            connection = self._connections.get(user)
            if connection is None or not connection.active:
                connection = connect_when_ready(self.machine, user, timeout=self._ready)
                self._connections[user] = connection
            return connection

    def _put(
        self,
        entries: Iterable[TreeEntry],
        dest: str,
        user: str,
        mtime: int,
        timeout: float | None,
    ) -> None:
        completed = self.run(
            ("sh", "-c", _EXTRACT, "sh", dest),
            user=user,
            env=_PLAIN,
            stdin=lambda write: send_tree(entries, write, mtime=mtime),
            timeout=timeout,
        )
        if completed.returncode in (_MKDIR_FAILED, _TAR_FAILED):
            raise self._refused(completed, f"{user} cannot write into {dest}")
        if completed.returncode != 0:
            raise CommandFailed(completed, self.machine.name)

    def _refused(self, completed: Completed, what: str) -> PathRefused:
        return PathRefused(completed, f"{what} in target {self.machine.name}")
