"""Ask diffoscope what differs between two files: an optional program of this host, shut in.

It unpacks and renders what nobody trusts with a hundred tools that were not written for that, so
it gets copies, a sandbox and bounds (:mod:`gbuild.host.inspect`); its report is not trusted, too.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from gbuild.errors import BackendFailure, GbuildError, HostFailure
from gbuild.formats import diffoscope as reports
from gbuild.host.files import write_atomically
from gbuild.host.inspect import LATE, Bounds, Inspected, inspect
from gbuild.host.process import CLEAN_ENVIRONMENT
from gbuild.host.programs import how_to_install
from gbuild.model.comparison import Looked

_PACKAGE = "diffoscope-minimal"
_LARGEST = 512 << 20
"""Bytes of one file that it is given."""
_SHORTEST = 1.0
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}\Z")
_LONGEST_NAME = 200
_TIDY = ("--no-progress", "--exclude-directory-metadata=yes", "--max-report-size=8000000")


def program() -> Path | None:
    """Return where diffoscope is, if this host has it."""
    found = shutil.which("diffoscope", path=CLEAN_ENVIRONMENT.get("PATH"))
    return Path(found) if found else None


def absent() -> str:
    """Say that it is not there, and what mends that."""
    return f"no diffoscope on this host shows what differs: {mend()}"


def mend() -> str:
    """Return the command that brings it."""
    return how_to_install(_PACKAGE)


class Diffoscope:
    """Asks about pairs, two at once at most, until the time for all of them is over.

    Args:
        found: the program.
        keep: the folder for its reports; made when there is one.
        seconds: for all pairs together; one of them gets half of what is left.
        confined: False runs it without namespaces, with bounds on each process only.
    """

    def __init__(
        self, found: Path, *, keep: Path, seconds: float = 600.0, confined: bool = True
    ) -> None:
        self._lock = threading.Lock()
        self._running: set[int] | None = set()
        self._program = found
        self._keep = keep
        self._left = seconds
        self._seconds = seconds
        self._confined = confined

    def look(self, name: str, a: Path, b: Path) -> Looked:
        """Return what it says of two files that differ, or why it says nothing.

        Raises:
            HostFailure: this host cannot shut it in, and that was not waived.
        """
        largest = max(path.stat().st_size for path in (a, b))
        if largest > _LARGEST:
            return Looked(note=f"not asked: larger than {_LARGEST >> 20} MiB")
        with self._lock:
            left, ended = self._left, self._running is None
        if ended:
            return Looked(note="not asked: the comparison was interrupted")
        if left < _SHORTEST:
            return Looked(note=f"not asked: the {self._seconds:g} seconds are over")
        bounds = Bounds(seconds=max(left / 2, _SHORTEST))
        began = time.monotonic()
        done = self._ask(_name(name), a, b, bounds)
        with self._lock:
            self._left -= time.monotonic() - began
        return self._answer(name, done, bounds)

    def end(self) -> None:
        """End what runs, and let nothing begin any more: the comparison is interrupted."""
        with self._lock:
            running, self._running = self._running or set(), None
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _began(self, pid: int) -> None:
        with self._lock:
            if self._running is None:
                os.kill(pid, signal.SIGKILL)
            else:
                self._running.add(pid)

    def _ask(self, name: str, a: Path, b: Path, bounds: Bounds) -> Inspected:
        files = {f"a/{name}": a, f"b/{name}": b}
        argv = (str(self._program), *_TIDY, "--json", "-", "--", *files)
        mine: list[int] = []

        def began(pid: int) -> None:
            mine.append(pid)
            self._began(pid)

        try:
            return inspect(argv, files, bounds, confined=self._confined, began=began)
        except (BackendFailure, HostFailure) as error:
            raise _refused(error) from error
        finally:
            with self._lock:
                (self._running or set()).difference_update(mine)

    def _answer(self, name: str, done: Inspected, bounds: Bounds) -> Looked:
        if done.status == LATE:
            return Looked(note=f"ended after {bounds.seconds:.0f} seconds (--seconds gives more)")
        if not done.whole:
            return Looked(note=f"its report is longer than {len(done.report) >> 20} MiB")
        if not done.report and done.status == 0:
            return Looked(note="it sees no difference")
        try:
            detail = reports.parse(done.report)
        except reports.NoReport as error:
            complaint = done.complaint.strip().rpartition("\n")[2]
            return Looked(note=f"no report ({error}; status {done.status}): {complaint[:300]}")
        return self._kept(name, done.report, Looked(detail=detail))

    def _kept(self, name: str, report: bytes, looked: Looked) -> Looked:
        path = self._keep / f"{_flat(name)}.json"
        try:
            self._keep.mkdir(parents=True, exist_ok=True)
            write_atomically(path, report)
        except OSError as error:
            return replace(looked, note=f"the report is not kept: {error}")
        return replace(looked, kept=str(path))


def _refused(error: GbuildError) -> HostFailure:
    return HostFailure(
        "diffoscope cannot be shut in on this host, and so it is not run on foreign files",
        details=(str(error), *error.details),
        hint=f"{error.hint + '; or ' if error.hint else ''}"
        "--no-diffoscope to do without, --unconfined to run it all the same",
    )


def _name(path: str) -> str:
    """Return a file name that no tool can take for an option, with the suffix tools look at."""
    last = path.rpartition("/")[2]
    return last if _PLAIN.match(last) else "artefact" + "".join(re.findall(r"\.[a-z0-9]+\Z", last))


def _flat(path: str) -> str:
    """Return one file name for an artefact's path; a long one ends in a digest."""
    name = quote(path, safe="", errors="surrogateescape").replace("~", "%7E")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
