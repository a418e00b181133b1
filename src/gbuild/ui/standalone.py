"""What pages that are one file and load nothing have in common: their frame and their assets.

The content security policy allows the page's own style and script by their hashes and nothing
else, so that foreign text could not run or load anything even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from importlib.resources import files

from gbuild.ui.escape import html


def asset(name: str) -> str:
    """Return the text of a file beside this module."""
    return files("gbuild.ui").joinpath(name).read_text(encoding="utf-8")


def page(
    title: str, body: Iterable[str], *, style: str, command: str, version: str, script: str = ""
) -> str:
    """Return the whole page around the lines of its body; ``title`` is escaped here.

    Args:
        title: of the page.
        body: HTML, line by line.
        style: CSS.
        command: that made the page.
        version: of that command.
        script: runs once the body is there.
    """
    return "\n".join([
        "<!DOCTYPE html>",
        '<html lang="en">',
        *_head(title, style, script),
        "<body>",
        *body,
        _footer(command, version),
        *((f"<script>{script}</script>",) if script else ()),
        "</body>",
        "</html>",
        "",
    ])  # fmt: skip


def _footer(command: str, version: str) -> str:
    rest = "This page is one file: it loads nothing and sends nothing."
    return f"<footer>Made by {command} {html(version)}. {rest}</footer>"


def _head(title: str, style: str, script: str) -> Iterator[str]:
    rules = (
        "default-src 'none'",
        f"style-src {_hash(style)}",
        *((f"script-src {_hash(script)}",) if script else ()),
        "base-uri 'none'",
        "form-action 'none'",
    )
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
    yield '<meta name="referrer" content="no-referrer">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{html(title)}</title>"
    yield f"<style>{style}</style>"
    yield "</head>"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
