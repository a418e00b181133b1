"""The only code that knows a terminal: events become plain lines, a live display or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gbuild.ui.plain import PlainRenderer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

Mode = Literal["auto", "plain", "json"]
Renderer = PlainRenderer
"""Receives events from any thread; ``close`` ends a display that is still drawn."""

__all__ = ["Mode", "Renderer", "render"]


def render(
    mode: Mode, *, stream: TextIO, environment: Mapping[str, str], quiet: bool = False
) -> Renderer:
    """Return the renderer that fits ``stream``.

    Args:
        mode: ``auto`` draws progress when ``stream`` is a terminal and writes plain lines
            otherwise; ``json`` writes one object a line.
        stream: standard error, as a rule.
        environment: ``TERM=dumb`` and ``NO_COLOR`` are honoured.
        quiet: only warnings are shown.
    """
    if mode == "json":
        from gbuild.ui.jsonlines import JsonRenderer

        return JsonRenderer(stream, quiet=quiet)
    if mode == "auto" and stream.isatty() and environment.get("TERM", "dumb") != "dumb" and _rich():
        from gbuild.ui.live import LiveRenderer

        return LiveRenderer(stream, environment=environment, quiet=quiet)
    return PlainRenderer(stream, quiet=quiet)


def _rich() -> bool:
    """Say whether rich is there: what verifies can be had without it."""
    from importlib.util import find_spec

    return find_spec("rich") is not None
