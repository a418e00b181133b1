"""Podman: from nothing to the first command over SSH, against the same container made by hand."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

from bench_lxc import rows
from harness import Bench, NotHere, Row, call, tool
from oci_child import Recipe
from parts import image_of


def measure(bench: Bench) -> Iterator[Row]:
    """Take both in turn, as an ordinary user."""
    tool("podman")
    if bench.user is None:
        raise NotHere("needs root, to make an ordinary user")
    folder = bench.fresh("oci")
    recipe = bench.work / "oci-recipe"
    wanted = Recipe(image=image_of(bench), folder=folder, times=bench.times(20, 3))
    recipe.write_bytes(pickle.dumps(wanted))
    call("chown", f"{bench.user}:", folder, recipe)
    child = Path(__file__).with_name("oci_child.py")
    out = call(sys.executable, child, recipe, user=bench.user, cwd=folder)
    yield from rows("oci", "podman run, ssh by hand", json.loads(out))
