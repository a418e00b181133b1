"""Libraries that only some backends need: what to say when one is not installed."""

from __future__ import annotations

from pathlib import Path

from gbuild.errors import MissingTool

_CLONE = Path(__file__).parents[3]


def missing_library(library: str, *, extra: str) -> MissingTool:
    """Return the error for a Python library that the extra ``gbuild[extra]`` brings."""
    return MissingTool(f"the Python library {library} is not installed", hint=how_to_install(extra))


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra, in a clone or beside an installed gbuild."""
    helper = _CLONE / "bin" / "extra"
    return f"{helper} {extra}" if helper.exists() else f"pip install 'gbuild[{extra}]'"
