"""The links of an RSS document, as Gitian's downloader looked for new packages in them.

Read with expat, piece by piece, without any tree: a document that declares entities is refused,
and only the text that is asked for is kept.
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

from gbuild.errors import UsageFailure

LARGEST: Final = 4 << 20
"""Bytes of a feed."""
_DEEPEST = 64
_LONGEST = 2_000
_MOST = 10_000


class NotAFeed(UsageFailure):
    """Bytes that are no XML document, or one that no honest feed is like."""


def first_match(data: bytes, *, xpath: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """Return how the first text at ``xpath`` fits ``pattern``; None when none does.

    Args:
        data: the document.
        xpath: ``/a/b/text()`` from the top, ``//a/b/text()`` anywhere.
        pattern: is looked for anywhere in a text.

    Raises:
        NotAFeed: the document cannot be read, or is larger than any honest one.
    """
    if len(data) > LARGEST:
        raise NotAFeed(f"a feed of more than {LARGEST} bytes")
    for text in _Texts(xpath).of(data):
        if found := pattern.search(text):
            return found
    return None


class _Texts:
    """Collects the texts of all elements that lie at one path."""

    def __init__(self, xpath: str) -> None:
        self._anywhere = xpath.startswith("//")
        self._way = xpath.removesuffix("/text()").strip("/").split("/")
        self._here: list[str] = []
        self._texts: list[str] = []
        self._open: list[str] | None = None

    def of(self, data: bytes) -> list[str]:
        """Return the texts in their order."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = _refuse_entity
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise NotAFeed(f"no XML document: {str(error)[:200]!a}") from error
        return self._texts

    def _start(self, name: str, _attributes: object) -> None:
        self._here.append(name)
        if len(self._here) > _DEEPEST:
            raise NotAFeed(f"elements deeper than {_DEEPEST} in each other")
        there = self._here[-len(self._way) :] if self._anywhere else self._here
        self._open = [] if there == self._way else None

    def _end(self, _name: str) -> None:
        self._here.pop()
        if self._open is not None:
            self._texts.append("".join(self._open).strip()[:_LONGEST])
            if len(self._texts) > _MOST:
                raise NotAFeed(f"more than {_MOST} links")
        self._open = None

    def _text(self, text: str) -> None:
        if self._open is not None:
            self._open.append(text)


def _refuse_entity(*_: object) -> None:
    raise NotAFeed("a document that declares entities")
