"""What one run of a command shares: where it works, how it speaks."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING

from gbuild.errors import UsageFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gbuild.engine.prepare import Parts
    from gbuild.host.store import Store
    from gbuild.model.event import Sink
    from gbuild.target.backend import Backend
    from gbuild.ui import Renderer


class Session:
    """The shared options as given, and the few things made from them when first asked for.

    Attributes:
        command: names the ``format`` of JSON answers: ``gsign``, ``gtarget.list``.
        environment: this process's environment variables.
        json: answer with one JSON object on standard output.
        backend_name: the backend that was asked for on the command line.
        backend_pairs: its options, as given: ``KEY=VALUE``.
        quiet: show warnings and errors only.
        debug: show tracebacks.
        answered: the JSON object of this run has been written.
    """

    def __init__(self, *, command: str, environment: Mapping[str, str]) -> None:
        self.command = command
        self.environment = environment
        self.workspace_folder: str | None = None
        self.store_folder: str | None = None
        self.backend_name: str | None = None
        self.backend_pairs: tuple[str, ...] = ()
        self.json = False
        self.quiet = False
        self.debug = False
        self.answered = False

    @property
    def workspace(self) -> Path:
        """Return the folder to work in, absolute.

        Raises:
            UsageFailure: it does not exist.
        """
        from pathlib import Path  # not for --help, as below

        folder = Path(self.workspace_folder or "").absolute()
        if not folder.is_dir():
            raise UsageFailure(f"the workspace {folder} does not exist", hint=f"mkdir -p {folder}")
        return folder

    @cached_property
    def store(self) -> Store:
        """Open the store (made if absent)."""
        from pathlib import Path

        from gbuild.host.store import Store, default_root

        if self.store_folder:
            return Store(Path(self.store_folder).absolute())
        return Store(default_root(os.getuid(), self.environment))

    @property
    def sink(self) -> Sink:
        """Where events go: standard error, in the shape that fits it."""
        return self._renderer

    @cached_property
    def _renderer(self) -> Renderer:
        from gbuild.ui import render

        return render(
            "json" if self.json else "auto",
            stream=sys.stderr,
            environment=self.environment,
            quiet=self.quiet,
        )

    @cached_property
    def chosen_backend(self) -> str:
        """Return the name of the one backend that this run uses."""
        from gbuild import app

        return app.chosen_backend(self.backend_name, environment=self.environment, sink=self.sink)

    @property
    def backend_options(self) -> dict[str, str]:
        """Return the options of the backend that were given on the command line.

        Raises:
            UsageFailure: one is not ``KEY=VALUE``.
        """
        split = [pair.partition("=") for pair in self.backend_pairs]
        for key, equals, value in split:
            if not (key and equals):
                raise UsageFailure(f"--backend-option {key}{equals}{value} is not KEY=VALUE")
        return {key: value for key, _, value in split}

    def make_backend(self, name: str | None = None) -> Backend:
        """Make the backend called ``name``, else the chosen one."""
        from gbuild import app

        return app.make_backend(
            name or self.chosen_backend,
            store=self.store,
            environment=self.environment,
            sink=self.sink,
            options=self.backend_options,
        )

    def make_parts(self, *, hurry: bool = False) -> Parts:
        """Bring together what a build on the chosen backend works with.

        ``hurry``: the build follows at once.
        """
        from gbuild import app

        return app.make_parts(
            self.chosen_backend,
            store=self.store,
            environment=self.environment,
            sink=self.sink,
            options=self.backend_options,
            hurry=hurry,
        )

    def say(self, text: str = "") -> None:
        """Write a line of the answer for people; nothing with ``--json``.

        Foreign text in it must have been escaped (:mod:`gbuild.ui.escape`).
        """
        if not self.json:
            sys.stdout.write(f"{text}\n")

    def answer(self, fields: Mapping[str, object]) -> None:
        """Write the one JSON object of this run; nothing without ``--json``."""
        import json

        if self.json:
            self.answered = True
            document = {"format": f"gbuild.{self.command}/1", **fields}
            sys.stdout.write(json.dumps(document, ensure_ascii=True, indent=2) + "\n")

    def close(self) -> None:
        """Take progress bars off the screen."""
        if "_renderer" in self.__dict__:
            self._renderer.close()
