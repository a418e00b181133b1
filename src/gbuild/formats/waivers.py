"""The file of waivers: YAML, strict, every problem with its place (docs/reference/gcheck.md)."""

from __future__ import annotations

import re
from datetime import date

from gbuild.errors import UsageFailure
from gbuild.formats import located_yaml
from gbuild.formats.fields import Fields, Shape
from gbuild.model import names
from gbuild.model.check import Waiver

FORMAT = "gbuild.waivers/1"
BOUNDS = located_yaml.Bounds(size=1 << 20, nodes=20_000, depth=8)

_KEYS = ("artifacts", "reason", "owner", "expires")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_EXPECTED = "a day, such as 2027-03-01"


class WaiversInvalid(UsageFailure):
    """Waivers that do not follow their schema; details hold one block per problem."""


_SHAPE = Shape(
    what="a file of waivers",
    form=FORMAT,
    keys=("format", "waivers"),
    bounds=BOUNDS,
    kind=WaiversInvalid,
    hint="the keys are in docs/reference/gcheck.md",
)


def parse_waivers(data: bytes, *, path: str) -> tuple[Waiver, ...]:
    """Read a file of waivers.

    Args:
        data: its bytes.
        path: how to call it in errors.

    Raises:
        WaiversInvalid: with every problem found and its place.
    """
    return _SHAPE.read(data, _waivers, path=path)


def _waivers(fields: Fields) -> tuple[Waiver, ...]:
    entries = fields.mappings("waivers", ", ".join(_KEYS))
    return tuple(_waiver(Fields(one, _KEYS, fields.findings, "a waiver")) for one in entries)


def _waiver(fields: Fields) -> Waiver:
    return Waiver(
        pattern=_said(fields, "artifacts", "a glob, such as *.pdf"),
        reason=_said(fields, "reason", "why it need not be reproducible"),
        owner=_said(fields, "owner", "who answers for it"),
        expires=_day(fields),
    )


def _said(fields: Fields, key: str, expected: str) -> str:
    node = fields.required(key, expected=expected)
    if node is not None and not node.value.strip():
        fields.findings.refuse(node, f"{key} is empty", expected)
    return node.value.strip() if node else ""


def _day(fields: Fields) -> str:
    node = fields.required("expires", expected=_DAY_EXPECTED)
    if node is None:
        return ""
    if not _DAY.fullmatch(node.value) or not _is_day(node.value):
        reason = f"expires is no day: {names.shown(node.value)}"
        fields.findings.refuse(node, reason, _DAY_EXPECTED)
    return node.value


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
