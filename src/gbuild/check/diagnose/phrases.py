"""The words around a value that tell what it is, whatever the syntax around them. Pure.

``#define BUILD_HOST "``, ``"buildHost": "``, ``<build-host>`` and ``Build host: `` all become
``build host``, so that a cause needs one pattern for all of them.
"""

from __future__ import annotations

import re

from gbuild.check.diagnose.differences import Change

_TAGS = (
    "td th tr b i em strong span div p a br li ul ol dd dt dl code tt small big pre string "
    "font u h1 h2 h3 h4 h5 h6 body html table tbody thead footer header center address var "
    "literal para row cell entry data blockquote kbd samp sup sub s"
)
_FORMATTING = frozenset(_TAGS.split())
"""Tags that say how something looks; any other one says what it is."""

_TAG = re.compile(r"</?([A-Za-z_][\w.:-]*)([^<>]*)>")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][A-Za-z])|(?<=[A-Z])(?=[A-Z][a-z][a-z])")
_OTHER = re.compile(r"[^A-Za-z0-9\u00c0-\uffff]+")
_ENTITY = re.compile(r"&(?:nbsp|#160|quot|lt|gt|amp|#\d+);")
_GROFF = re.compile(r"\\f(?:[BIRP]|\[\w*\]|\(\w\w)|\\(?=-)")
"""Changes of the font in a manual page."""
_FAR = 240
_BROKEN = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")
"""Bytes that end a string in a binary file."""


def normal(text: str) -> str:
    """Return the words of a text: small, with one space between them."""
    text = _GROFF.sub("", text)
    text = _ENTITY.sub(" ", _TAG.sub(_tag_words, text))
    return _OTHER.sub(" ", _CAMEL.sub(" ", text)).strip().lower()


def before(change: Change, characters: bytes) -> str:
    """Return the words before the value of ``characters`` that a change is part of.

    When nothing is before it in its line, those of the line above: markup often puts them there.
    """
    left = change.left.rstrip(characters).decode("utf-8", "replace")
    line = _BROKEN.split(left.rpartition("\n")[2])[-1]
    words = normal(line[-_FAR:])
    return words or normal(change.above[-_FAR:])


def after(change: Change, characters: bytes) -> str:
    """Return the words that follow a value of ``characters``."""
    right = change.right.lstrip(characters).decode("utf-8", "replace")
    return normal(_BROKEN.split(right.partition("\n")[0])[0][:_FAR])


_KERNEL = re.compile(r"#\d+\S* (?:SMP|PREEMPT)")
_IMAGE = re.compile(r"Linux version|UTS_VERSION|^#\d|compile|built", re.IGNORECASE)


def about_kernel(line: str) -> bool:
    """Say whether a line is what uname(1) says: its date is that of the kernel that runs."""
    return bool(_KERNEL.search(line)) and not _IMAGE.search(line)


def line_words(change: Change) -> str:
    """Return the words of the line of the first side."""
    return normal(change.lines()[0])


def _tag_words(match: re.Match[str]) -> str:
    name = match[1].rpartition(":")[2]
    if match[0].startswith("</") or name.lower() in _FORMATTING:
        return " "
    return f" {name} {match[2]} "
