"""Gitian's report: an ordered map of manifests, as Ruby's Psych wrote and reads it.

The shape, taken from real assertions: ``--- !!omap``, one ``- key: value`` an entry, manifests
as literal blocks, a manifest of one line in single quotes, an empty one as ``''``, and inside
``base_manifests`` an ordered map again. The writer follows the style of Psych 4 with libyaml
0.2.5 for all of that; other text is written in double quotes, which every YAML reader accepts.
"""

from __future__ import annotations

import re
from collections import abc

from gbuild.errors import UsageFailure
from gbuild.formats import located_yaml, report_quick
from gbuild.formats.located_yaml import Mapping, Node, Sequence, Text
from gbuild.formats.problems import InvalidText
from gbuild.model.manifest import LARGEST, Report

BOUNDS = located_yaml.Bounds(size=LARGEST, nodes=20_000, depth=6)
"""The largest real assertion has 30 nodes."""

_TAGS = frozenset({"!omap", "tag:yaml.org,2002:omap", "tag:yaml.org,2002:str", "!"})
_MANIFESTS = ("out_manifest", "in_manifest", "cache_common_manifest", "cache_package_manifest")
_LONGEST_KEY = 200
_WORDS = ("release", "name", "type")
_KNOWN = frozenset({*_MANIFESTS, *_WORDS, "base_manifests", "optionals"})

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~@/-]*", re.ASCII)
_NUMBER = re.compile(
    r"[0-9][0-9_,]*(\.[0-9_,]*)?([eE][-+]?[0-9]+)?|0x[0-9a-fA-F_,]+|0b[01_,]+|0o[0-7]+|0[0-7]*[89].*|"
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.ASCII,
)
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_LINES = re.compile(r"[!-~]([ -~]*[!-~])?(\n[!-~]([ -~]*[!-~])?)+\n?", re.ASCII)
_ONE_LINE = re.compile(r"[0-9A-Za-z_]((?<! ) {2}(?! )|[!-&(-~])*\n", re.ASCII)


class Unreadable(UsageFailure):
    """Bytes that are not a report."""


def write_report(report: Report) -> bytes:
    """Write the report; the same report always gives the same bytes.

    ``optionals`` is written, empty if need be, exactly when ``type`` is set, as gsign does.
    """
    lines = ["--- !!omap\n"]
    add = lines.append
    add(_entry("out_manifest", report.out_manifest))
    add(_entry("in_manifest", report.in_manifest))
    add(_base(report.base_manifests))
    add(_entry("cache_common_manifest", report.cache_common_manifest))
    add(_entry("cache_package_manifest", report.cache_package_manifest))
    for key in _WORDS:
        value = getattr(report, key)
        if value is not None:
            add(_entry(key, value))
    if report.type is not None or report.optionals is not None:
        add(_optionals(report.optionals))
    lines += [_entry(key, value) for key, value in report.extra.items()]
    return "".join(lines).encode()


def _entry(key: str, value: str) -> str:
    return f"- {_key(key)}: {_scalar(value, 4)}\n"


def _key(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and _is_word(text) else _quoted(text)


def _base(manifests: abc.Mapping[str, str]) -> str:
    if not manifests:
        return "- base_manifests: !!omap []\n"
    rows = [f"  - {_key(key)}: {_scalar(text, 6)}\n" for key, text in manifests.items()]
    return "- base_manifests: !!omap\n" + "".join(rows)


def _optionals(names: tuple[str, ...] | None) -> str:
    if names is None:
        return "- optionals:\n"
    if not names:
        return "- optionals: []\n"
    return "- optionals:\n" + "".join(f"  - {_scalar(name, 4)}\n" for name in names)


def _scalar(text: str, indent: int) -> str:
    if not text:
        return "''"
    if _PLAIN.fullmatch(text):
        return text if _is_word(text) else f"'{text}'"
    margin = " " * indent
    if _LINES.fullmatch(text):
        body = text.removesuffix("\n").replace("\n", "\n" + margin)
        return f"|{'' if text.endswith(chr(10)) else '-'}\n{margin}{body}"
    if _ONE_LINE.fullmatch(text):
        return f"'{text}\n{margin}'"
    return _quoted(text)


def _is_word(text: str) -> bool:
    """Say whether plain ``text`` is text for every YAML reader: no number, date or boolean."""
    return text.lower() not in _NOT_TEXT and not _NUMBER.fullmatch(text)


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    number = ord(character)
    if 0x20 <= number < 0x7F or (number > 0xA0 and character.isprintable()):
        return character
    if number <= 0xFF:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"


def read_report(data: bytes) -> Report:
    """Read a report or an assertion written by any version of Gitian or by us.

    Accepted are ``!omap`` and ``!!omap`` heads, a plain list of one-key maps or a plain map,
    every style of text, and missing keys but for ``out_manifest``. Keys we do not know are kept
    in ``extra`` when their value is text.

    Raises:
        Unreadable: these bytes are no report; details say what and where.
    """
    if len(data) <= BOUNDS.size and (quick := report_quick.read(data)) is not None:
        report = _quick(quick)
        if report is not None:
            return report
    try:
        node = located_yaml.parse(data, bounds=BOUNDS, tags=_TAGS, fast=True)
    except InvalidText as error:
        first = error.problems[0]
        raise _unreadable(first.reason, first.line) from error
    values = _pairs(node, "the report")
    if "out_manifest" not in values:
        raise _unreadable("it has no out_manifest", 1)
    return Report(
        out_manifest=_text(values, "out_manifest"),
        in_manifest=_text(values, "in_manifest"),
        base_manifests=_texts(_value(values, "base_manifests")),
        cache_common_manifest=_text(values, "cache_common_manifest"),
        cache_package_manifest=_text(values, "cache_package_manifest"),
        release=_word(values, "release"),
        name=_word(values, "name"),
        type=_word(values, "type"),
        optionals=_names(_value(values, "optionals")),
        extra=_extra(values),
    )


def _quick(values: abc.Mapping[str, report_quick.Value]) -> Report | None:
    """Make a report of what the quick reader read; None when a value has another shape."""
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    base = values.get("base_manifests")
    maps = {key for key, value in values.items() if isinstance(value, tuple)}
    if "out_manifest" not in values or maps - {"base_manifests"} or isinstance(base, str):
        return None
    if values.get("optionals") is not None:
        return None
    return Report(
        out_manifest=texts.get("out_manifest", ""),
        in_manifest=texts.get("in_manifest", ""),
        cache_common_manifest=texts.get("cache_common_manifest", ""),
        cache_package_manifest=texts.get("cache_package_manifest", ""),
        release=texts.get("release"),
        name=texts.get("name"),
        type=texts.get("type"),
        base_manifests=dict(base or ()),
        extra={key: value for key, value in texts.items() if key not in _KNOWN},
    )


def _unreadable(reason: str, line: int) -> Unreadable:
    return Unreadable("not a report of a build", details=(f"line {line}: {reason}",))


def _pairs(node: Node | None, what: str) -> dict[str, Node]:
    """Turn an ordered map (a list of one-key maps, or a map) into a dict."""
    maps = node.items if isinstance(node, Sequence) else (node,)
    values: dict[str, Node] = {}
    for item in maps:
        if not isinstance(item, Mapping):
            raise _unreadable(f"{what} is not a map", item.place.line if item else 1)
        if isinstance(node, Sequence) and len(item.pairs) != 1:  # readers disagree about it
            raise _unreadable(f"{what} is a list without one key an item", item.place.line)
        for key, value in item.pairs:
            if key.value in values or len(key.value) > _LONGEST_KEY:
                raise _unreadable("a key too long or given twice", key.place.line)
            values[key.value] = value
    return values


def _value(values: dict[str, Node], key: str) -> Node | None:
    """Return the node under ``key``; None when it is absent or null."""
    node = values.get(key)
    return None if isinstance(node, Text) and node.is_null else node


def _word(values: dict[str, Node], key: str) -> str | None:
    node = _value(values, key)
    if node is None or isinstance(node, Text):
        return node.value if node else None
    raise _unreadable(f"{key} is not text", node.place.line)


def _text(values: dict[str, Node], key: str) -> str:
    return _word(values, key) or ""


def _texts(node: Node | None) -> dict[str, str]:
    inner = {} if node is None else _pairs(node, "base_manifests")
    return {key: _text(inner, key) for key in inner}


def _names(node: Node | None) -> tuple[str, ...] | None:
    if node is None:
        return None
    items = node.items if isinstance(node, Sequence) else (node,)
    return tuple(item.value for item in items if isinstance(item, Text))


def _extra(values: dict[str, Node]) -> dict[str, str]:
    return {
        key: node.value
        for key, node in values.items()
        if key not in _KNOWN and isinstance(node, Text) and not node.is_null
    }
