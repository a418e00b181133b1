"""A process that lets targets live and waits to be killed; paths of recipes come one a line."""

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
from gbuild.target.shell import Target, TreeLimits

_TREE = "/home/builder/tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to start: pickled by the test for a child of its own.

    ``tree`` is put into the target, ``back`` the folder that it comes back to; ``ready`` the
    seconds that the target has to answer.
    """

    kind: type[Backend]
    store: Path
    environment: Mapping[str, str]
    options: Mapping[str, str]
    spec: TargetSpec
    detach: bool
    tree: Path
    back: Path
    ready: float


def main() -> None:
    """Drive each recipe whose path is a line of standard input, in a copy of this process.

    The copy says ``begin PID``, lets the target live, says ``lived``, and waits to be killed; this
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
    _live(recipe, backend)
    _say("lived")
    time.sleep(600)


def _live(recipe: Recipe, backend: Backend) -> None:
    """Start the target, put a tree, run a command on it, get it back, and end the target."""
    spec = recipe.spec
    if recipe.detach:
        backend.detach(spec)
        machine = backend.attach(spec.name)
    else:
        machine = backend.start(spec)
    with Target(machine, ready=recipe.ready) as target:
        target.put_tree(recipe.tree, _TREE, user=spec.user)
        target.run(["sh", "-c", f"cat {_TREE}/* >{_TREE}/all"], user=spec.user, check=True)
        target.get_tree(_TREE, recipe.back, limits=TreeLimits(), user=spec.user)
    machine.stop()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
