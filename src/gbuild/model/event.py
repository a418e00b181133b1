"""What the lower layers tell a person: events with a kind, rendered only by ``gbuild.ui``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["step", "info", "warning", "progress", "output", "done", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    ``text`` may hold bytes from a target that were decoded with replacement: the renderer
    escapes it for its medium. ``data`` is for machines: for ``progress`` the keys ``done`` and
    ``total`` (bytes) and ``item``; for every job event ``job`` (``<suite>-<arch>``).
    """

    kind: Kind
    text: str
    data: Mapping[str, str | int | float] = field(default_factory=dict)


Sink = Callable[[Event], None]
"""Receives events; must be safe to call from several threads."""


def discard(event: Event) -> None:
    """Ignore an event (for callers that have nobody to tell)."""
