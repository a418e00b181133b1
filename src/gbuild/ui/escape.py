"""Text that a target, a tree or a log wrote, made harmless for the medium it is shown in.

One function per medium; whoever shows foreign text calls the one that fits, exactly once.
"""

from __future__ import annotations

import re
import unicodedata

_SAFE_ASCII = re.compile(r"[\n\t\x20-\x7e]*\Z")
_DANGEROUS_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>:@/])")


def terminal(text: str) -> str:
    r"""Return ``text`` with everything that could drive a terminal spelled out (``\x1b``).

    Controls, direction overrides, invisible and unassigned characters and lone surrogates are
    escaped; newline and tab stay.
    """
    if _SAFE_ASCII.match(text):
        return text
    return "".join(map(_visible, text))


def line(text: str) -> str:
    """Like :func:`terminal`, for text that must stay on one line."""
    return terminal(text).replace("\n", r"\n").replace("\t", r"\t")


def html(text: str) -> str:
    """Return ``text`` for an HTML text node or a quoted attribute."""
    from html import escape  # slow to load, and every command loads this module

    return escape(terminal(text), quote=True)


def markdown(text: str) -> str:
    """Return ``text`` for the middle of a Markdown line: no markup, link, mention or HTML."""
    from html import escape

    return _MARKDOWN_SPECIAL.sub(r"\\\1", escape(line(text), quote=False))


def fenced(text: str, kind: str = "") -> str:
    """Return ``text`` as a fenced block of Markdown that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{terminal(text)}\n{fence}"


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _DANGEROUS_CATEGORIES:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
