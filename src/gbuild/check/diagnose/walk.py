"""Find what differs between two files: containers first, then lines, words and bytes. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import accumulate, zip_longest

from gbuild.check.diagnose.containers import Container, Member, opened
from gbuild.check.diagnose.differences import Change, Difference, Field, OnlyIn, Order
from gbuild.check.diagnose.headers import headers

MOST = 2_000
"""Differences that one file may give; what comes after them is not looked at."""

_DEEPEST = 12
_LINES = 15_000
_TOKENS = 60_000
_CONTEXT = 96
_TOKEN = re.compile(rb"[A-Za-z0-9]+|[^A-Za-z0-9]")
_STRING = re.compile(rb"([\x09\x20-\x7e]{4,})")
_DATA = (".rodata", ".data", ".comment", ".interp", ".note.package")
"""Sections of a program whose bytes somebody wrote."""

_DRAWN = re.compile(r"(?<=\.)[0-9a-f]{6,16}\b")
"""What gcc -flto puts at the end of the names of sections."""
_SHORT = 3
"""Bytes of lines that are too short to be known again: a brace, an empty line."""
_LIKE = 200
"""Strings of a table that one is compared with to find its like."""
_NEAR = 4
"""Bytes that may lie between two changed bytes of one change."""


def differences(name: str, a: bytes, b: bytes) -> Iterator[Difference]:
    """Yield what differs between ``a`` and ``b``, both called ``name``; not more than MOST."""
    for number, difference in enumerate(_of_files(name, a, b, 0)):
        if number == MOST:
            return
        yield difference


def _of_files(where: str, a: bytes, b: bytes, depth: int) -> Iterator[Difference]:
    if a == b:
        return
    one, two = (opened(data) if depth < _DEEPEST else None for data in (a, b))
    if one and two and one.kind == two.kind:
        yield from _of_containers(where, one, two, depth)
        return
    known, rest_a, rest_b = headers(where, a, b)
    yield from known
    yield from _of_bytes(where, rest_a, rest_b)


def _of_containers(where: str, a: Container, b: Container, depth: int) -> Iterator[Difference]:
    found: list[Difference] = [*_fields(where, a.kind, a.fields, b.fields)]
    yield from found
    pairs = list(_paired(a.members, b.members))
    if a.kind == "elf":
        pairs = list(_renamed(pairs))
    if a.ordered:
        names_a = tuple(m.name for m in a.members)
        names_b = tuple(m.name for m in b.members)
        if names_a != names_b and sorted(names_a) == sorted(names_b):
            found.append(Order(where=where, kind=a.kind, a=names_a, b=names_b))
            yield found[-1]
    same = not found
    for name, one, two in pairs:
        place = f"{where} > {name}" if name else where
        if one is None or two is None:
            same = False
            yield OnlyIn(where=place, side="b" if one is None else "a")
        else:
            same = same and one == two
            yield from _of_members(place, a.kind, one, two, depth)
    if same:
        yield Field(where=where, kind=a.kind, name="packing", a="", b="")


def _of_members(place: str, kind: str, a: Member, b: Member, depth: int) -> Iterator[Difference]:
    if a.name != b.name:
        yield Field(where=place, kind=kind, name="member name", a=a.name, b=b.name)
    for field in _fields(place, kind, a.fields, b.fields):
        if field.name != "packed size" or a.data == b.data:  # else it follows the content
            yield field
    inner = _of_strings if kind == "elf" and a.name.endswith("_str") else _of_files
    for difference in inner(place, a.data, b.data, depth + 1):
        if kind == "elf" and isinstance(difference, Change):
            yield replace(difference, program=not a.name.startswith(_DATA))
        else:
            yield difference


def _of_strings(where: str, a: bytes, b: bytes, depth: int) -> Iterator[Difference]:
    """Compare two tables of strings, which a linker fills in any order: by what only one has."""
    del depth
    one, two = a.split(b"\0"), b.split(b"\0")
    gone = list((Counter(one) - Counter(two)).elements())
    new = list((Counter(two) - Counter(one)).elements())
    for before in gone[:MOST]:
        likest = max(new[:_LIKE], key=lambda each: _alike(_end(each), _end(before)), default=b"")
        if likest in new:
            new.remove(likest)
        yield from _of_line(where, before, likest)
    for after in new[:MOST]:
        yield from _of_line(where, b"", after)


def _end(string: bytes) -> bytes:
    """Return the last of a string, backwards: paths of one file end alike."""
    return string[: -_CONTEXT - 1 : -1]


def _fields(where: str, kind: str, a: object, b: object) -> Iterator[Field]:
    one, two = dict(a), dict(b)  # type: ignore[call-overload]
    for name in sorted(one.keys() | two.keys()):
        left, right = one.get(name, ""), two.get(name, "")
        if left != right:
            yield Field(where=where, kind=kind, name=name, a=left, b=right)


def _paired(
    a: Sequence[Member], b: Sequence[Member]
) -> Iterator[tuple[str, Member | None, Member | None]]:
    """Pair members by name; those of one name in their order."""
    named: dict[str, tuple[list[Member], list[Member]]] = {}
    for side, members in ((0, a), (1, b)):
        for member in members:
            named.setdefault(member.name, ([], []))[side].append(member)
    for name, (ones, twos) in named.items():
        for one, two in zip_longest(ones, twos):
            yield name, one, two


def _renamed(
    pairs: Sequence[tuple[str, Member | None, Member | None]],
) -> Iterator[tuple[str, Member | None, Member | None]]:
    """Pair members that only one side has and whose names differ in a drawn number only."""
    lonely: dict[str, list[Member]] = {}
    for name, one, two in pairs:
        if one is None and two is not None:
            lonely.setdefault(_DRAWN.sub("#", name), []).append(two)
    for name, one, two in pairs:
        likes = lonely.get(_DRAWN.sub("#", name), [])
        if one is not None and two is None and likes:
            yield name, one, likes.pop(0)
        elif one is not None:
            yield name, one, two
    yield from ((each.name, None, each) for rest in lonely.values() for each in rest)


def _of_bytes(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    if a == b:
        return
    if _is_text(a) and _is_text(b):
        yield from _of_text(where, a, b)
    elif len(a) == len(b):
        yield from _of_equal_length(where, a, b)
    else:
        yield from _of_pieces(where, a, b)


def _is_text(data: bytes) -> bool:
    if b"\0" in data[:65536]:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _of_text(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    one, two = a.splitlines(keepends=True), b.splitlines(keepends=True)
    if len(one) == len(two) and Counter(one) == Counter(two):
        ordered = (tuple(line.decode("utf-8", "replace") for line in each) for each in (one, two))
        yield Order(where=where, kind="text", a=next(ordered), b=next(ordered))
        return
    moved = _moved(one, two)
    if len(moved) > 1:
        ordered = (tuple(x.decode("utf-8", "replace") for x in e if x in moved) for e in (one, two))
        yield Order(where=where, kind="text", a=next(ordered), b=next(ordered))
        one, two = ([line for line in each if line not in moved] for each in (one, two))
    for tag, i1, i2, j1, j2 in _blocks(one, two):
        if tag == "replace" and i2 - i1 == j2 - j1:
            for before, after in zip(one[i1:i2], two[j1:j2], strict=True):
                yield from _of_line(where, before, after)
        elif tag != "equal":
            yield from _of_line(where, b"".join(one[i1:i2]), b"".join(two[j1:j2]))


def _moved(one: Sequence[bytes], two: Sequence[bytes]) -> frozenset[bytes]:
    """Return lines that both sides have once, at least two of them in another order."""
    gone: list[bytes] = []
    new: list[bytes] = []
    for tag, i1, i2, j1, j2 in _blocks(one, two):
        if tag != "equal":
            gone += one[i1:i2]
            new += two[j1:j2]
    once = {line for line, n in Counter(one).items() if n == 1 and len(line) > _SHORT}
    both = once & set(gone) & set(new)
    both &= {line for line, n in Counter(two).items() if n == 1}
    if len(both) < 2:
        both |= {line for line in once & set(two) if both}
    orders = ([line for line in each if line in both] for each in (one, two))
    return frozenset(both) if next(orders) != next(orders) else frozenset()


def _blocks(one: Sequence[bytes], two: Sequence[bytes]) -> Iterator[tuple[str, int, int, int, int]]:
    """Compare two sequences; what they begin and end with alike is left out first."""
    head = _alike(one, two)
    tail = _alike(one[head:][::-1], two[head:][::-1])
    ends = len(one) - tail, len(two) - tail
    for start in range(head, max(ends), _LINES):
        parts = (
            one[start : min(start + _LINES, ends[0])],
            two[start : min(start + _LINES, ends[1])],
        )
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, *parts).get_opcodes():
            yield tag, i1 + start, i2 + start, j1 + start, j2 + start


def _alike(one: Sequence[object], two: Sequence[object]) -> int:
    """Count what two sequences begin with alike."""
    pairs = zip(one, two, strict=False)
    return next((n for n, (x, y) in enumerate(pairs) if x != y), min(len(one), len(two)))


def _of_line(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    """Compare two lines (or blocks of lines) word by word."""
    if a == b:
        return
    if len(a) * len(b) > 16 * _TOKENS:
        yield Change(where=where, a=a[: 1 << 16], b=b[: 1 << 16])
        return
    one, two = _TOKEN.findall(a), _TOKEN.findall(b)
    if len(one) * len(two) > _TOKENS:
        yield Change(where=where, a=a[: 1 << 16], b=b[: 1 << 16])
        return
    if len(one) > 8 and one != two and Counter(one) == Counter(two):
        text = (tuple(t.decode("utf-8", "replace") for t in each) for each in (one, two))
        yield Order(where=where, kind="line", a=next(text), b=next(text))
        return
    starts, starts_b = _starts(one), _starts(two)
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Change(
                where=where,
                a=b"".join(one[i1:i2]),
                b=b"".join(two[j1:j2]),
                left=a[max(0, starts[i1] - _CONTEXT) : starts[i1]],
                right=a[starts[i2] : starts[i2] + _CONTEXT],
                left_b=b[max(0, starts_b[j1] - _CONTEXT) : starts_b[j1]],
                right_b=b[starts_b[j2] : starts_b[j2] + _CONTEXT],
            )


def _starts(tokens: Sequence[bytes]) -> list[int]:
    """Return where each token starts, and the end."""
    return [0, *accumulate(map(len, tokens))]


def _of_equal_length(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    for start, end in _runs(a, b):
        left, right = a[max(0, start - _CONTEXT) : start], a[end : end + _CONTEXT]
        yield Change(
            where=where,
            a=a[start:end],
            b=b[start:end],
            left=left,
            right=right,
            left_b=b[max(0, start - _CONTEXT) : start],
            right_b=b[end : end + _CONTEXT],
            text=_printable(a[start:end]) and _printable(b[start:end]),
            offset=start,
        )


def _runs(a: bytes, b: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what differs; changes near one another are one."""
    start = end = -1
    for block in range(0, len(a), 4096):
        if a[block : block + 4096] == b[block : block + 4096]:
            continue
        for position in range(block, min(block + 4096, len(a))):
            if a[position] == b[position]:
                continue
            if end >= 0 and position - end > _NEAR:
                yield start, end
                start = position
            start = position if start < 0 else start
            end = position + 1
    if end >= 0:
        yield start, end


def _of_pieces(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    """Compare binary files of other sizes by the strings in them and by what lies between."""
    one, two = _STRING.split(a), _STRING.split(b)
    for tag, i1, i2, j1, j2 in _blocks(one, two):
        if tag == "equal":
            continue
        for before, after in zip_longest(one[i1:i2], two[j1:j2], fillvalue=b""):
            if _printable(before) and _printable(after):
                yield from _of_line(where, before, after)
            elif before != after:
                yield Change(where=where, a=before[:4096], b=after[:4096], text=False)


def _printable(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F or byte == 0x09 for byte in data)
