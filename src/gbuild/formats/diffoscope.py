"""Reports of diffoscope (``--json``, version 1): a tree of what differs, as a tool wrote it."""

from __future__ import annotations

import json
from typing import Any

from gbuild.model.comparison import Detail

_DEEPEST = 60
"""Containers in containers; diffoscope itself stops at 50."""
_MOST = 100_000
"""Nodes of one report."""


class NoReport(Exception):
    """Bytes that are not a report of diffoscope; the text says why."""


def parse(data: bytes) -> Detail:
    """Read a report.

    Raises:
        NoReport: it is not one, too deep or too large.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NoReport("not JSON, or cut off") from error
    if not isinstance(value, dict) or value.get("diffoscope-json-version") != 1:
        raise NoReport("not of version 1")
    return _Reader().detail(value, 0)


class _Reader:
    def __init__(self) -> None:
        self._left = _MOST

    def detail(self, value: Any, depth: int) -> Detail:  # noqa: ANN401
        """Turn one node and all below it into values."""
        self._left -= 1
        if not isinstance(value, dict) or depth > _DEEPEST or self._left < 0:
            raise NoReport("a node is no object, or there are too many")
        inside = value.get("details") or []
        if not isinstance(inside, list):
            raise NoReport("details that are no list")
        return Detail(
            a=_text(value.get("source1")),
            b=_text(value.get("source2")),
            diff=_text(value.get("unified_diff")),
            comments=_comments(value),
            inside=tuple(self.detail(each, depth + 1) for each in inside),
        )


def _comments(node: dict[str, Any]) -> tuple[str, ...]:
    said = node.get("comments") or node.get("comment") or []
    return tuple(map(_text, said if isinstance(said, list) else [said]))


def _text(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NoReport("a text that is none")
    return value
