"""What differs between two files, as small values. Pure."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

ALPHANUMERIC = (string.digits + string.ascii_letters).encode()
NAME = ALPHANUMERIC + b"_.-"
"""Characters of words (see :meth:`Change.words`); NAME: of files, persons and machines."""

_ENDS = re.compile(rb"[\x00-\x08\x0a-\x1f]")
"""What ends a line, or a string in a file that is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a structure that has a name.

    ``where`` leads to it (``a.tar.gz > a.tar > b.txt``), ``kind`` is the structure: gzip, tar,
    zip, ar, cpio, elf, pyc, png; ``a`` and ``b`` are the two values as text.
    """

    where: str
    kind: str
    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Bytes that were replaced, and what is around them on either side.

    ``left`` and ``right`` are the neighbourhood in the first file, ``left_b`` and ``right_b`` in
    the second; ``text`` says that all of it is text, ``offset`` where it starts in the first
    file, or -1. ``above`` is the line before it and ``line`` its number in the first file, or -1,
    where they are known; ``dumped`` is 2 when the text sets variables as a session has them, 1
    when all its lines set some. ``program`` says that it is in a section of a program that is
    code, or follows from others: offsets, symbols, debugging information. ``listed`` says that the
    text has dates written alike that stayed the same.
    """

    where: str
    a: bytes
    b: bytes
    left: bytes = b""
    right: bytes = b""
    left_b: bytes = b""
    right_b: bytes = b""
    text: bool = True
    program: bool = False
    offset: int = -1
    above: str = ""
    line: int = -1
    dumped: int = 0
    listed: bool = False

    def words(self, characters: bytes) -> tuple[str, str]:
        """Return both sides with the neighbours that belong to ``characters``."""
        return (
            _word(self.left, self.a, self.right, characters),
            _word(self.left_b, self.b, self.right_b, characters),
        )

    def lines(self) -> tuple[str, str]:
        """Return both sides with everything around that is known of their line."""
        one = _ENDS.split(self.left)[-1] + self.a + _ENDS.split(self.right)[0]
        two = _ENDS.split(self.left_b)[-1] + self.b + _ENDS.split(self.right_b)[0]
        return _text(one), _text(two)

    def places(self) -> tuple[int, int]:
        """Return where the change starts in :meth:`lines`, in characters."""
        lefts = (_ENDS.split(side)[-1] for side in (self.left, self.left_b))
        return len(_text(next(lefts))), len(_text(next(lefts)))

    @property
    def before(self) -> str:
        """The text before it, for words that tell what it is."""
        return _text(self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The same things in another order: lines of a text, or members of a ``kind`` of container.

    ``whole`` says that it is all that differs there.
    """

    where: str
    kind: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyIn:
    """A member that only one side has (``side`` is ``a`` or ``b``)."""

    where: str
    side: str


Difference = Field | Change | Order | OnlyIn


def _word(left: bytes, middle: bytes, right: bytes, characters: bytes) -> str:
    head = left[len(left.rstrip(characters)) :]
    tail = right[: len(right) - len(right.lstrip(characters))]
    return _text(head + middle + tail).strip()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
