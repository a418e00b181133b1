"""A process that starts one target and waits to be killed: ``driver PATHS RECIPE``."""

from __future__ import annotations

import pickle
import sys
import time
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
    """Say ``begin``, start the target, say ``started``, and wait."""
    recipe: Recipe = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301 - the test's own
    backend = recipe.kind(
        store=Store(recipe.store),
        environment=recipe.environment,
        sink=discard,
        options=recipe.options,
    )
    _say("begin")
    kept = backend.detach(recipe.spec) if recipe.detach else backend.start(recipe.spec)
    _say("started")
    time.sleep(600)
    del kept


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
