"""Events as JSON, one object a line: for programs that follow a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gbuild.ui.plain import PlainRenderer

if TYPE_CHECKING:
    from gbuild.model.event import Event


class JsonRenderer(PlainRenderer):
    """Write ``{"event": kind, "text": ..., "data": {...}}`` lines; nothing is left out."""

    def show(self, event: Event) -> None:
        """Write the event; JSON's own escapes (ASCII only) keep hostile text harmless."""
        fields = {"event": event.kind, "text": event.text, "data": dict(event.data)}
        self.write_line(json.dumps(fields, ensure_ascii=True))
