"""Diagnose two files in a process of its own: what a build made may be hostile.

Standard library readers and our own take apart whatever a target wrote. A file that makes them
eat memory, time or fail is unknown, and nothing else of a check is lost by it.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gbuild.check.diagnose.diagnosis import Diagnosis, Known, diagnose_files
from gbuild.errors import TimedOut
from gbuild.host.process import run
from gbuild.model.check import Trace

_START = "import sys; sys.path += sys.argv[1:];from gbuild.check.diagnose.apart import main; main()"
_SOURCES = str(Path(__file__).parents[3])
_MEMORY = 4 << 30
"""Bytes of address space: two files of the largest size, unpacked."""

_SECONDS = 120
"""Of processor time, and as much again on the wall."""


def diagnose_apart(a: Path, b: Path, *, name: str, known: Sequence[Known] = ()) -> Diagnosis:
    """Compare two files; links are followed. Unknown is what takes too much time or memory."""
    wanted = {
        "a": str(a.resolve()),
        "b": str(b.resolve()),
        "name": name,
        "known": [asdict(fact) for fact in known],
    }
    argv = (sys.executable, "-I", "-c", _START, _SOURCES)
    try:
        done = run(argv, stdin=json.dumps(wanted).encode(), timeout=2 * _SECONDS, check=False)
        found = json.loads(done.stdout)
    except (TimedOut, ValueError):
        return Diagnosis((), unknown=True)
    return Diagnosis(tuple(Trace(**trace) for trace in found["traces"]), found["unknown"])


def main() -> None:
    """Diagnose what standard input names, and answer on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = json.load(sys.stdin)
    known = [Known(**fact) for fact in wanted["known"]]
    found = diagnose_files(Path(wanted["a"]), Path(wanted["b"]), name=wanted["name"], known=known)
    json.dump({"traces": [asdict(t) for t in found.traces], "unknown": found.unknown}, sys.stdout)
