"""What targets exist: one small file each, so that other processes find and clear them.

Layout below the store, closed to everybody else::

    run/<backend>/<id>.json    the target, the process that started it, how to get in
    run/<backend>/<id>.*       whatever else the backend keeps for that target, such as sockets
    scratch/<id>/              what a target of userns with ``scratch: disk`` writes
"""

from __future__ import annotations

import glob
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gbuild.errors import GbuildError, UsageFailure
from gbuild.host.store import Store
from gbuild.target.backend import TargetInfo

if TYPE_CHECKING:
    from gbuild.target.guest import Guest

_IDENTITY = re.compile(r"\.?(.+~\d+~[0-9a-f]{8})\..+")
"""Name of a file that belongs to one target, or of one that was being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A target as the process that started it wrote it down.

    ``born`` tells that process from a later one of the same pid. ``held`` names what must go when
    the target goes, by kind: control groups, containers, bridges, ports, whatever the backend has.
    """

    id: str
    name: str
    pid: int
    born: str
    started: float
    detached: bool
    user: str
    host_key: str
    client_key: str
    facts: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def begun(
        cls,
        identity: str,
        name: str,
        guest: Guest,
        *,
        detached: bool = False,
        facts: Mapping[str, str] | None = None,
        held: Mapping[str, Sequence[str]],
    ) -> Self:
        """Return the entry of a target that this process starts now."""
        return cls(
            id=identity,
            name=name,
            pid=os.getpid(),
            born=born(os.getpid()),
            started=time.time(),
            detached=detached,
            user=guest.user,
            host_key=guest.host.public,
            client_key=guest.client.private,
            facts=facts or {},
            held=held,
        )

    def alive(self) -> bool:
        """Say whether the process that started the target still runs."""
        return born(self.pid) == self.born

    def info(self, backend: str, *, alive: bool) -> TargetInfo:
        """Return what a person may know of it."""
        return TargetInfo(
            name=self.name,
            backend=backend,
            state="running" if alive else "dead",
            started=self.started,
            pid=self.pid,
        )


def new_id(name: str) -> str:
    """Return an identity for a target of this process, fit for a file name."""
    return f"{name}~{os.getpid()}~{secrets.token_hex(4)}"


def token_of(identity: str) -> str:
    """Return the drawn end of an identity: what a target makes for itself is called after it."""
    return identity.rpartition("~")[2]


def born(pid: int) -> str:
    """Return this boot's id and the start time of a process, or nothing if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return ""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{fields[19]}"


class Registry:
    """The entries of one backend in one store.

    Args:
        store: where they lie.
        backend: the backend's name.
        alive: says whether an entry's target still runs. Without it that is so as long as the
            process that started it runs; a backend with a daemon asks the daemon, and raises
            when that does not answer.
    """

    def __init__(
        self, store: Store, backend: str, *, alive: Callable[[Entry], bool] = Entry.alive
    ) -> None:
        self.folder = store.root / "run" / backend
        self.scratch = store.root / "scratch"
        self.backend = backend
        self._alive = alive

    def add(self, entry: Entry) -> None:
        """Write an entry down; a reader sees the old one or the new, never a part.

        It need not outlive this boot, so nobody waits for the disk.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        half = self.folder / f".{entry.id}.json.{secrets.token_hex(4)}"
        half.touch(mode=0o600)
        half.write_text(json.dumps(asdict(entry), sort_keys=True))
        half.replace(self.folder / f"{entry.id}.json")

    def remove(self, identity: str) -> None:
        """Forget an entry and the files kept beside it; the entry itself goes last."""
        for half in self.folder.glob(f".{glob.escape(identity)}.*"):
            half.unlink(missing_ok=True)  # its writer was killed
        for path in self.folder.glob(f"{glob.escape(identity)}.*"):
            if path.suffix != ".json":
                path.unlink(missing_ok=True)
        (self.folder / f"{identity}.json").unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove files of targets that have no entry and whose maker was killed."""
        known = {entry.id for entry in self.entries()}
        for path in self.folder.glob("*"):
            found = _IDENTITY.fullmatch(path.name)
            if found and found[1] not in known and not _starting(found[1]):
                path.unlink(missing_ok=True)

    def infos(self) -> tuple[TargetInfo, ...]:
        """Return what a person may know of every target."""
        return tuple(e.info(self.backend, alive=self._alive(e)) for e in self.entries())

    def alive(self, entry: Entry) -> bool:
        """Say whether an entry's target still runs."""
        return self._alive(entry)

    def entries(self) -> tuple[Entry, ...]:
        """Return all entries, of the living and the dead, by name."""
        return tuple(sorted(self._read(), key=lambda entry: (entry.name, entry.started)))

    def detached(self, name: str) -> Entry:
        """Return the living detached target of that name.

        Raises:
            UsageFailure: there is none.
            GbuildError: there is one, but who runs it does not answer.
        """
        entry = self._living(name, unknown=f"the target {name} is out of reach")
        if entry is None:
            raise UsageFailure(f"no target called {name} runs", hint="gtarget list")
        return entry

    def check_free(self, name: str) -> None:
        """Make sure that no detached target of that name runs.

        Raises:
            UsageFailure: one does.
            GbuildError: one may: who runs it does not answer.
        """
        if self._living(name, unknown=f"a target called {name} may run already") is not None:
            raise UsageFailure(f"a target called {name} runs already", hint="gtarget list")

    def _living(self, name: str, *, unknown: str) -> Entry | None:
        """Return the living detached target of that name, if there is one.

        Raises:
            GbuildError: ``unknown``, and why.
        """
        failed = None
        for entry in self.entries():
            try:
                if entry.name == name and entry.detached and self._alive(entry):
                    return entry
            except GbuildError as error:
                failed = error
        if failed is not None:
            mend = f"{failed.hint}; " if failed.hint else ""
            hint = f"{mend}if that is gone for good: gtarget prune --forget {name}"
            brief = f"{unknown}: {failed.brief}"
            raise failed.retold(brief, details=failed.details, hint=hint) from failed
        return None

    def abandoned_scratch(self) -> tuple[Path, ...]:
        """Return scratch folders whose keeper has ended."""
        if not self.scratch.is_dir():
            return ()
        living = {entry.id for entry in self.entries() if entry.alive()}
        folders = (p for p in self.scratch.iterdir() if p.name not in living and "~" in p.name)
        return tuple(folder for folder in folders if not _starting(folder.name))

    def _read(self) -> Iterator[Entry]:
        if not self.folder.is_dir():
            return
        for path in self.folder.glob("*.json"):
            try:
                yield Entry(**json.loads(path.read_bytes()))
            except (FileNotFoundError, ValueError, TypeError):
                continue  # removed meanwhile, or not ours


def _starting(identity: str) -> bool:
    """Say whether a scratch folder belongs to a running process that has no entry yet."""
    pid = identity.split("~")[1:2]
    return bool(pid) and bool(born(int(pid[0])))
