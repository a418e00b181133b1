"""What differs between two files, as small values. Pure."""

from __future__ import annotations

from dataclasses import dataclass


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
    file, or -1. ``program`` says that it is in a section of a program that is code, or follows
    from others: offsets, symbols, debugging information.
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

    def words(self, characters: bytes) -> tuple[str, str]:
        """Return both sides with the neighbours that belong to ``characters``."""
        return (
            _word(self.left, self.a, self.right, characters),
            _word(self.left_b, self.b, self.right_b, characters),
        )

    def lines(self) -> tuple[str, str]:
        """Return both sides with everything around that is known of their line."""
        one = self.left.rpartition(b"\n")[2] + self.a + self.right.partition(b"\n")[0]
        two = self.left_b.rpartition(b"\n")[2] + self.b + self.right_b.partition(b"\n")[0]
        return _text(one), _text(two)

    def places(self) -> tuple[int, int]:
        """Return where the change starts in :meth:`lines`, in characters."""
        lefts = (side.rpartition(b"\n")[2] for side in (self.left, self.left_b))
        return len(_text(next(lefts))), len(_text(next(lefts)))

    @property
    def before(self) -> str:
        """The text before it, for words that tell what it is."""
        return _text(self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The same things in another order: lines of a text, or members of a ``kind`` of container."""

    where: str
    kind: str
    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyIn:
    """A member that only one side has (``side`` is ``a`` or ``b``)."""

    where: str
    side: str


Difference = Field | Change | Order | OnlyIn


def _word(left: bytes, middle: bytes, right: bytes, characters: bytes) -> str:
    head = left[len(left.rstrip(characters)) :]
    tail = right[: len(right) - len(right.lstrip(characters))]
    return _text(head + middle + tail)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
