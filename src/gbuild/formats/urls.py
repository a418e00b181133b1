"""Addresses of files and archives: which kinds a descriptor may name."""

from __future__ import annotations

import re

from gbuild.model.names import shown

_WEB = re.compile(
    r"https?://(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
    r"(?:/[!#-;=?-Z_a-z~]*)?",
    re.ASCII,
)
_RELATIVE = re.compile(r"(?!/)(?!(?:.*/)?\.\.?(?:/|\Z))[A-Za-z0-9_.+~%:/-]+", re.ASCII)
_LOCAL = re.compile(r"file:///[^\x00-\x20\x7f]+", re.ASCII)
_LONGEST = 2048


def file_url_refusal(text: str) -> str | None:
    """Say why ``text`` cannot be the address of an input file; None when it can.

    Allowed are http, https and ``mirror:PATH``, a path below the distribution's archive.
    """
    if len(text) > _LONGEST:
        return f"the address is longer than {_LONGEST} characters"
    if text.startswith("mirror:"):
        path = text.removeprefix("mirror:")
        return None if _RELATIVE.fullmatch(path) else f"not a path in an archive: {shown(path)}"
    return None if _WEB.fullmatch(text) else f"not an address of a file: {shown(text)}"


def archive_url_refusal(text: str) -> str | None:
    """Say why ``text`` cannot be the address of an apt archive; None when it can.

    Allowed are http, https and ``file:///absolute/path``.
    """
    if len(text) > _LONGEST:
        return f"the address is longer than {_LONGEST} characters"
    if _WEB.fullmatch(text) or _LOCAL.fullmatch(text):
        return None
    return f"not an address of an apt archive: {shown(text)}"
