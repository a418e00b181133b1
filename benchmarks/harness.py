"""What the benchmarks share: paired timings, rows with a verdict, a place to work."""

from __future__ import annotations

import os
import pwd
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Verdict = Literal["met", "MISSED", "no target", "not measured"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured thing.

    ``ours`` and ``peer`` are samples in ``unit``, taken in turn. ``limit`` is what the value
    (the ratio ours / peer when there is a peer) may be at most; ``least`` at least.
    """

    what: str
    unit: str
    ours: Sequence[float] = ()
    peer: Sequence[float] = ()
    peer_name: str = ""
    limit: float | None = None
    least: float | None = None
    statistic: Callable[[Sequence[float]], float] = statistics.median
    note: str = ""

    @property
    def value(self) -> float | None:
        """Ours, or ours over the peer's."""
        if not self.ours or (self.peer_name and not self.peer):
            return None
        ours = self.statistic(self.ours)
        return ours / self.statistic(self.peer) if self.peer_name else ours

    @property
    def verdict(self) -> Verdict:
        """Compare the value with its target."""
        if self.value is None:
            return "not measured"
        if self.limit is None and self.least is None:
            return "no target"
        within = self.limit is None or self.value <= self.limit
        return "met" if within and (self.least is None or self.value >= self.least) else "MISSED"

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        value = "-" if self.value is None else f"{self.value:.3g}{'x' if self.peer_name else ''}"
        peer = f"{_shown(self.peer, self)} ({self.peer_name})" if self.peer_name else "-"
        target = "-"
        if self.limit is not None:
            target = f"<= {self.limit:g}"
        elif self.least is not None:
            target = f">= {self.least:g}"
        ours = _shown(self.ours, self)
        return (self.what, f"{ours} {self.unit}", peer, value, target, self.verdict, self.note)

    def as_json(self) -> dict[str, object]:
        """Return everything that was measured."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": list(self.ours),
            "peer": list(self.peer),
            "peer_name": self.peer_name,
            "value": self.value,
            "limit": self.limit,
            "least": self.least,
            "verdict": self.verdict,
            "note": self.note,
        }


HEADERS = ("measured", "gbuild", "peer", "value", "target", "verdict", "note")


def percentile(share: float) -> Callable[[Sequence[float]], float]:
    """Return a statistic: the sample that ``share`` of all do not exceed."""
    return lambda samples: sorted(samples)[min(len(samples) - 1, int(share * len(samples)))]


def _shown(samples: Sequence[float], row: Row) -> str:
    if not samples:
        return "-"
    if len(samples) == 1:
        return f"{samples[0]:.4g}"
    low, high = percentile(0.25)(samples), percentile(0.75)(samples)
    return f"{row.statistic(samples):.4g} [{low:.4g}..{high:.4g}]"


class NotHere(Exception):
    """A peer or a privilege that this host lacks."""


@dataclass
class Bench:
    """Where the benchmarks work and how much they do.

    Attributes:
        work: a fresh folder on a tmpfs.
        store: gbuild's store, warm.
        descriptor: the descriptor whose image is used.
        quick: few samples, to see whether it runs.
        user: an ordinary user for peers that need one.
        clean: folders elsewhere that are removed at the end.
    """

    work: Path
    store: Path
    descriptor: Path
    quick: bool = False
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    clean: list[Path] = field(default_factory=list)

    def times(self, full: int, quick: int = 2) -> int:
        """Return how many samples to take."""
        return quick if self.quick else full

    def fresh(self, name: str) -> Path:
        """Return an empty folder."""
        folder = self.work / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder


def tool(name: str) -> str:
    """Return a program's path, or say that it is not here."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise NotHere(f"{name} is not installed")
    return found


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def call(
    *argv: str | Path,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
    stdin: bytes = b"",
) -> bytes:
    """Run a program, as ``user`` if given; a failure shows what it said."""
    who = pwd.getpwnam(user) if user else None
    base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    if who is not None:
        base |= {"HOME": who.pw_dir, "USER": who.pw_name}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(
            [str(word) for word in argv],
            env={**base, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdout=out,
            stderr=err,
            check=False,
            user=None if who is None else who.pw_uid,
            group=None if who is None else who.pw_gid,
            extra_groups=None if who is None else [],
        )
        out.seek(0)
        err.seek(0)
        if done.returncode:
            tail = err.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{argv[0]} ended with {done.returncode}: {tail}")
        return out.read()


def gbuild_command(name: str) -> list[str]:
    """Return how a person runs one of gbuild's commands."""
    return [str(Path(__file__).parents[1] / "bin" / name)]
