"""A process that starts targets and waits to be killed: ``driver PATHS``."""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.target.backend import Backend, TargetSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to start: pickled by the test for a child of its own."""

    kind: type[Backend]
    store: Path
    environment: Mapping[str, str]
    options: Mapping[str, str]
    spec: TargetSpec
    detach: bool


def main() -> None:
    """Drive each recipe whose path is a line of standard input, in a copy of this process.

    The copy says ``begin PID``, starts the target, says ``started``, and waits to be killed; this
    process says ``ended`` then. What is imported stays, so that many can be killed in little time.
    """
    for line in sys.stdin:
        recipe: Recipe = pickle.loads(Path(line.rstrip("\n")).read_bytes())  # noqa: S301 - the test's
        copy = os.fork()
        if copy == 0:
            try:
                _drive(recipe)
            except BaseException:  # noqa: BLE001 - told, and then this copy ends in any case
                traceback.print_exc()
            finally:
                os._exit(1)  # only the first process reads on
        os.waitpid(copy, 0)
        _say("ended")


def _drive(recipe: Recipe) -> None:
    os.setsid()
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    backend = recipe.kind(
        store=Store(recipe.store),
        environment=recipe.environment,
        sink=discard,
        options=recipe.options,
    )
    _say(f"begin {os.getpid()}")
    kept = backend.detach(recipe.spec) if recipe.detach else backend.start(recipe.spec)
    _say("started")
    time.sleep(600)
    del kept


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
