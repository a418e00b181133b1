"""Gitian's report: an ordered map of manifests, as Ruby's Psych wrote and reads it.

The shape, taken from real assertions: ``--- !!omap``, one ``- key: value`` an entry, manifests
as literal blocks, a manifest of one line in single quotes, an empty one as ``''``, and inside
``base_manifests`` an ordered map again. The writer follows the style of Psych 4 with libyaml
0.2.5 for all of that; other text is written in double quotes, which every YAML reader accepts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gbuild.errors import UsageFailure
from gbuild.formats import located_yaml
from gbuild.formats.problems import InvalidText
from gbuild.model.manifest import Report

BOUNDS = located_yaml.Bounds(size=32 << 20, nodes=20_000, depth=6)
"""The largest real assertion has 0.4 MB and 30 nodes."""

_TAGS = frozenset({"!omap", "tag:yaml.org,2002:omap", "tag:yaml.org,2002:str", "!"})
_MANIFESTS = ("out_manifest", "in_manifest", "cache_common_manifest", "cache_package_manifest")
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
    return f"- {_scalar(key, 2)}: {_scalar(value, 4)}\n"


def _base(manifests: Mapping[str, str]) -> str:
    if not manifests:
        return "- base_manifests: !!omap []\n"
    rows = [f"  - {_scalar(key, 4)}: {_scalar(text, 6)}\n" for key, text in manifests.items()]
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
        plain = text.lower() not in _NOT_TEXT and not _NUMBER.fullmatch(text)
        return text if plain else f"'{text}'"
    margin = " " * indent
    if _LINES.fullmatch(text):
        body = text.removesuffix("\n").replace("\n", "\n" + margin)
        return f"|{'' if text.endswith(chr(10)) else '-'}\n{margin}{body}"
    if _ONE_LINE.fullmatch(text):
        return f"'{text}\n{margin}'"
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
    try:
        node = located_yaml.parse(data, bounds=BOUNDS, tags=_TAGS, fast=True)
    except InvalidText as error:
        first = error.problems[0]
        raise Unreadable(
            "not a report of a build", details=(f"line {first.line}: {first.reason}",)
        ) from error
    values = _pairs(node, "the report")
    if "out_manifest" not in values:
        raise Unreadable("not a report of a build", details=("it has no out_manifest",))
    return Report(
        out_manifest=_text(values, "out_manifest"),
        in_manifest=_text(values, "in_manifest"),
        base_manifests=_texts(values.get("base_manifests")),
        cache_common_manifest=_text(values, "cache_common_manifest"),
        cache_package_manifest=_text(values, "cache_package_manifest"),
        release=_word(values, "release"),
        name=_word(values, "name"),
        type=_word(values, "type"),
        optionals=_names(values.get("optionals")),
        extra=_extra(values),
    )


def _pairs(node: located_yaml.Node | None, what: str) -> dict[str, located_yaml.Node]:
    """Turn an ordered map (a list of one-key maps, or a map) into a dict."""
    maps = node.items if isinstance(node, located_yaml.Sequence) else (node,)
    values: dict[str, located_yaml.Node] = {}
    for item in maps:
        if not isinstance(item, located_yaml.Mapping):
            raise Unreadable("not a report of a build", details=(f"{what} is not a map",))
        for key, value in item.pairs:
            if key.value in values:
                raise Unreadable(
                    "not a report of a build",
                    details=(f"line {key.place.line}: {key.value!r} stands there twice",),
                )
            values[key.value] = value
    return values


def _text(values: Mapping[str, located_yaml.Node], key: str) -> str:
    node = values.get(key)
    if node is None:
        return ""
    if not isinstance(node, located_yaml.Text):
        raise Unreadable(
            "not a report of a build", details=(f"line {node.place.line}: {key} is not text",)
        )
    return "" if node.is_null else node.value


def _word(values: Mapping[str, located_yaml.Node], key: str) -> str | None:
    node = values.get(key)
    if node is None or (isinstance(node, located_yaml.Text) and node.is_null):
        return None
    return _text(values, key)


def _texts(node: located_yaml.Node | None) -> dict[str, str]:
    if node is None or (isinstance(node, located_yaml.Text) and node.is_null):
        return {}
    inner = _pairs(node, "base_manifests")
    return {key: _text(inner, key) for key in inner}


def _names(node: located_yaml.Node | None) -> tuple[str, ...] | None:
    if node is None or (isinstance(node, located_yaml.Text) and node.is_null):
        return None
    items = node.items if isinstance(node, located_yaml.Sequence) else (node,)
    return tuple(item.value for item in items if isinstance(item, located_yaml.Text))


def _extra(values: Mapping[str, located_yaml.Node]) -> dict[str, str]:
    return {
        key: node.value
        for key, node in values.items()
        if key not in _KNOWN and isinstance(node, located_yaml.Text)
    }
