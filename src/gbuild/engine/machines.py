"""The targets of one run: started, kept for a shell if asked, all ended when it is interrupted."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gbuild.engine import preflight
from gbuild.errors import BackendFailure, GbuildError
from gbuild.model.options import BuildOptions
from gbuild.target.backend import Backend, Machine, TargetSpec


class Machines:
    """Hands out running targets and knows every one that lives."""

    def __init__(self, backend: Backend, options: BuildOptions, *, tag: str = "") -> None:
        """``tag`` tells the targets of several runs of one process apart."""
        self.backend = backend
        self._tag = f"{tag}-" if tag else ""
        self._options = options
        self._live: dict[str, Machine] = {}
        self._ending = False
        self._lock = threading.Lock()

    def name_for(self, label: str) -> str:
        """Return a target name that no other run uses."""
        return f"gbuild-{os.getpid()}-{self._tag}{label}"

    def hint(self, label: str) -> str:
        """Say how to look into a failed target."""
        if self._keeps:
            return f"gtarget shell {self.name_for(label)}"
        return "run again with --keep; then  gtarget shell  opens a shell in the failed target"

    @property
    def _keeps(self) -> bool:
        return self._options.keep or self._options.skip_cleanup

    @contextmanager
    def running(self, spec: TargetSpec) -> Iterator[Machine]:
        """Start a target, and end it on leaving the block.

        With ``--keep`` it lives on after a failure, with ``--skip-cleanup`` always.
        """
        machine = self._start(spec)
        try:
            yield machine
        except GbuildError:
            self._end(spec, machine, keep=self._keeps)
            raise
        except BaseException:
            self._end(spec, machine, keep=False)
            raise
        self._end(spec, machine, keep=self._options.skip_cleanup)

    def _start(self, spec: TargetSpec) -> Machine:
        try:
            machine = self._detached(spec) if self._keeps else self.backend.start(spec)
        except BackendFailure:
            preflight.refuse(preflight.missing(self.backend.probe()))  # perhaps it says why
            raise
        with self._lock:
            self._live[spec.name] = machine
            ending = self._ending
        if ending:
            machine.stop()
            raise BackendFailure("interrupted while the target started")
        return machine

    def _detached(self, spec: TargetSpec) -> Machine:
        return self.backend.attach(self.backend.detach(spec).name)

    def _end(self, spec: TargetSpec, machine: Machine, *, keep: bool) -> None:
        with self._lock:
            self._live.pop(spec.name, None)
            keep = keep and not self._ending
        if not keep:
            machine.stop()

    def end_all(self) -> None:
        """End every living target and let none be started any more (the run is interrupted)."""
        with self._lock:
            self._ending = True
            living = tuple(self._live.values())
        for machine in living:
            with suppress(GbuildError):
                machine.stop()
