"""What two sequences have in common: of lines, of the words of a line, of pieces. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, groupby

LINES = 15_000
"""Lines of a text that are compared at once."""
_MANY = 500
"""Lines from which on it matters how they are compared."""
_TOKENS = 60_000
"""Words of a line times those of the other, at most, of which every one is compared."""
_PIECES = 4_000_000
"""The same for the pieces of long lines."""
_STOPS = frozenset(bytes((byte,)) for byte in b" \t,;<>{}()[]&|")
"""What ends a piece of a line."""

_Piece = tuple[bytes, ...]
Opcode = tuple[str, int, int, int, int]
"""As difflib writes it: what is to be done, and the places in both sequences."""


def blocks(one: Sequence[Hashable], two: Sequence[Hashable]) -> Iterator[Opcode]:
    """Compare two sequences; what they begin and end with alike is left out first."""
    head, tail = ends(one, two)
    stops = len(one) - tail, len(two) - tail
    if len(one) == len(two) and stops[0] - head > _MANY:
        same = [x == y for x, y in zip(one[head : stops[0]], two[head : stops[1]], strict=True)]
        if 2 * sum(same) > len(same):  # nearly all in its place: no need to look for it
            yield from _in_place(same, head)
            return
    for start in range(head, max(stops), LINES):
        parts = (
            one[start : min(start + LINES, stops[0])],
            two[start : min(start + LINES, stops[1])],
        )
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, *parts).get_opcodes():
            yield tag, i1 + start, i2 + start, j1 + start, j2 + start


def _in_place(same: Sequence[bool], head: int) -> Iterator[Opcode]:
    """Yield the runs of what differs in sequences of one length, as difflib would."""
    at = 0
    for equal, run in groupby(same):
        end = at + len(list(run))
        if not equal:
            yield "replace", head + at, head + end, head + at, head + end
        at = end


def alike(one: Sequence[object], two: Sequence[object]) -> int:
    """Count what two sequences begin with alike."""
    pairs = zip(one, two, strict=False)
    return next((n for n, (x, y) in enumerate(pairs) if x != y), min(len(one), len(two)))


def ends(one: Sequence[object], two: Sequence[object]) -> tuple[int, int]:
    """Count what two sequences begin with alike, and of the rest what they end with alike."""
    head = alike(one, two)
    return head, alike(one[head:][::-1], two[head:][::-1])


class Words:
    """The words of two lines, to be compared; those of long lines piece by piece."""

    def __init__(self, one: Sequence[bytes], two: Sequence[bytes]) -> None:
        self._head, tail = ends(one, two)
        self._one = one[self._head : len(one) - tail]
        self._two = two[self._head : len(two) - tail]
        self._short = len(self._one) * len(self._two) <= _TOKENS
        self._pieces: tuple[list[_Piece], list[_Piece]] = ([], [])
        if not self._short:
            self._pieces = _pieces(self._one), _pieces(self._two)

    @property
    def quick(self) -> bool:
        """Say whether comparing them is quick."""
        pieces, others = self._pieces
        return self._short or len(pieces) * len(others) <= _PIECES

    def opcodes(self) -> Iterator[Opcode]:
        """Compare them."""
        head = self._head
        if head:
            yield "equal", 0, head, 0, head
        for tag, i1, i2, j1, j2 in self._middle():
            yield tag, head + i1, head + i2, head + j1, head + j2

    def _middle(self) -> Iterator[Opcode]:
        one, two = self._one, self._two
        if self._short:
            yield from SequenceMatcher(None, one, two, autojunk=False).get_opcodes()
            return
        pieces, others = self._pieces
        starts, starts_b = _starts(pieces), _starts(others)
        for tag, i1, i2, j1, j2 in blocks(pieces, others):
            x1, x2, y1, y2 = starts[i1], starts[i2], starts_b[j1], starts_b[j2]
            if tag == "equal" or (x2 - x1) * (y2 - y1) > _TOKENS:
                yield tag, x1, x2, y1, y2
                continue
            inner = SequenceMatcher(None, one[x1:x2], two[y1:y2], autojunk=False).get_opcodes()
            for tag_, k1, k2, l1, l2 in inner:
                yield tag_, x1 + k1, x1 + k2, y1 + l1, y1 + l2


def _pieces(words: Sequence[bytes]) -> list[_Piece]:
    """Part a line behind its commas, brackets and spaces."""
    found: list[_Piece] = []
    at = 0
    for number, word in enumerate(words, 1):
        if word in _STOPS:
            found.append(tuple(words[at:number]))
            at = number
    return [*found, tuple(words[at:])]


def _starts(pieces: Sequence[_Piece]) -> list[int]:
    """Return where each piece starts, and the end."""
    return [0, *accumulate(map(len, pieces))]
