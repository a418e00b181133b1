"""What pages that are one file and load nothing have in common: their head and their assets.

The content security policy allows the page's own style and script by their hashes and nothing
else, so that foreign text could not run or load anything even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files

from gbuild.ui.escape import html


def asset(name: str) -> str:
    """Return the text of a file beside this module."""
    return files("gbuild.ui").joinpath(name).read_text(encoding="utf-8")


def footer(command: str, version: str) -> str:
    """Return the last line of a page."""
    rest = "This page is one file: it loads nothing and sends nothing."
    return f"<footer>Made by {command} {html(version)}. {rest}</footer>"


def head(title: str, style: str, script: str = "") -> Iterator[str]:
    """Yield the head of a page; ``title`` is escaped here."""
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
