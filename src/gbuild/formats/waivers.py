"""The file of waivers: YAML, strict, every problem with its place (docs/reference/gcheck.md)."""

from __future__ import annotations

import re
from datetime import date

from gbuild.errors import UsageFailure
from gbuild.formats import located_yaml
from gbuild.formats.fields import Fields, Findings
from gbuild.formats.located_yaml import Mapping, Text
from gbuild.formats.problems import InvalidText, refuse
from gbuild.model import names
from gbuild.model.check import Waiver

FORMAT = "gbuild.waivers/1"
BOUNDS = located_yaml.Bounds(size=1 << 20, nodes=20_000, depth=8)

_KEYS = ("artifacts", "reason", "owner", "expires")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_EXPECTED = "a day, such as 2027-03-01"


class WaiversInvalid(UsageFailure):
    """Waivers that do not follow their schema; details hold one block per problem."""


def parse_waivers(data: bytes, *, path: str) -> tuple[Waiver, ...]:
    """Read a file of waivers.

    Args:
        data: its bytes.
        path: how to call it in errors.

    Raises:
        WaiversInvalid: with every problem found and its place.
    """
    try:
        node = located_yaml.parse(data, bounds=BOUNDS)
    except InvalidText as error:
        raise _invalid(path, data, Findings(problems=list(error.problems))) from error
    findings = Findings()
    waivers: tuple[Waiver, ...] = ()
    if isinstance(node, Mapping):
        fields = Fields(node, ("format", "waivers"), findings, "a file of waivers")
        form = fields.required("format", expected=FORMAT)
        if form is not None and form.value != FORMAT:
            findings.refuse(form, f"unknown format {names.shown(form.value)}", FORMAT)
        entries = fields.mappings("waivers", ", ".join(_KEYS))
        waivers = tuple(_waiver(Fields(entry, _KEYS, findings, "a waiver")) for entry in entries)
    else:
        place = node or Text("", located_yaml.Place(1, 1))
        findings.refuse(place, "a file of waivers is a mapping", f"format: {FORMAT}")
    findings.problems += findings.warnings  # an unknown key may be what somebody relies on
    if findings.problems:
        raise _invalid(path, data, findings)
    return waivers


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


def _invalid(path: str, data: bytes, findings: Findings) -> WaiversInvalid:
    shown = refuse(path, data, findings.problems)
    return WaiversInvalid(
        shown.brief, details=shown.details, hint="the keys are in docs/reference/gcheck.md"
    )
