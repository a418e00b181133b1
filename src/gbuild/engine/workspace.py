"""The folder that a command works in, laid out as Gitian's was.

::

    inputs/ result/ sigs/ cache/<name>/ cache/common/
    build/<suite>-<arch>/out    what one job made          build/out    all of it merged
    var/lock                    held by the running gbuild
    var/logs/<start>/<suite>-<arch>.{install,build}.log    var/{install,build}.log -> the latest
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gbuild.errors import HostFailure, UsageFailure
from gbuild.host.files import locked

_MARKER = ".gbuild"
_KEPT_RUNS = 20


class Workspace:
    """A workspace; nothing is made before it is needed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.inputs = self.root / "inputs"
        self.result = self.root / "result"
        self.sigs = self.root / "sigs"
        self.var = self.root / "var"
        self.cache = self.root / "cache"
        self.build = self.root / "build"

    @contextmanager
    def locked(self, *, wait: bool) -> Iterator[None]:
        """Hold the workspace; the folders of a build exist inside the block.

        Raises:
            Busy: another gbuild works here and ``wait`` is False; names its process.
        """
        for folder in (self.inputs, self.result, self.var):
            folder.mkdir(parents=True, exist_ok=True)
        patience = None if wait else 0
        with locked(self.var / "lock", what=f"workspace {self.root}", wait=patience):
            yield

    def job(self, label: str) -> Path:
        """Return the folder of one job, ``build/<suite>-<arch>``."""
        return self.build / label

    @property
    def out(self) -> Path:
        """The merged artefacts, ``build/out``."""
        return self.build / "out"

    def check_build(self) -> None:
        """Check that ``build/`` is free for a build, and that its report can be written.

        Raises:
            UsageFailure: it holds something that gbuild did not put there.
            HostFailure: nothing can be written into ``result/``.
        """
        if self.result.exists() and not os.access(self.result, os.W_OK | os.X_OK):
            raise HostFailure(f"{self.result} cannot be written", hint=f"ls -ld {self.result}")
        if self.build.is_symlink() or (self.build.exists() and not self.build.is_dir()):
            raise UsageFailure(f"{self.build} is not a folder", hint="move it away")
        present = self._present()
        if present and _MARKER not in present:
            raise UsageFailure(
                f"{self.build} holds files that gbuild did not make",
                details=(f"for example {present[0]}",),
                hint="move them away, or work in another folder with --workspace DIR",
            )

    def open_build(self, *, keep: bool) -> None:
        """Make ``build/``; unless ``keep`` is set, remove what earlier builds left in it.

        Raises:
            UsageFailure: as :meth:`check_build`.
        """
        self.check_build()
        for name in self._present():
            if name != _MARKER and (not keep or name.startswith(".")):
                remove(self.build / name)
        self.build.mkdir(exist_ok=True)
        (self.build / _MARKER).touch()

    def _present(self) -> list[str]:
        return sorted(p.name for p in self.build.iterdir()) if self.build.exists() else []

    def open_logs(self, moment: float) -> Path:
        """Make the folder for the logs of a run that starts at ``moment`` (epoch seconds).

        The oldest runs' folders beyond twenty are removed.
        """
        logs = self.var / "logs"
        stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        folder = logs / stamp
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(p.name for p in logs.iterdir())[:-_KEPT_RUNS]:
            remove(logs / old)
        return folder

    def point(self, name: str, log: Path) -> None:
        """Let ``var/<name>`` be a link to a log below ``var/``; jobs may do it side by side."""
        temporary = log.with_name(f".{log.name}.link")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(log.relative_to(self.var))
        temporary.replace(self.var / name)


def remove(path: Path) -> None:
    """Remove a file, a symbolic link or a whole folder; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
