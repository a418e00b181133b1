"""Find what differs between two files: containers first, then lines, words and bytes. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from gbuild.check.diagnose.containers import LAID, opened
from gbuild.check.diagnose.differences import Change, Difference, Field, OnlyIn, Order
from gbuild.check.diagnose.headers import headers
from gbuild.check.diagnose.member import Container, Member
from gbuild.check.diagnose.sequences import alike, blocks
from gbuild.check.diagnose.texts import CONTEXT, of_lines, of_texts

MOST = 2_000
"""Differences that one file may give; what comes after them is not looked at."""

_DEEPEST = 12
_STRING = re.compile(rb"([\x09\x20-\x7e]{4,})")
_DATA = (".rodata", ".data", ".comment", ".interp", ".note.package")
"""Sections of a program whose bytes somebody wrote."""

_DRAWN = re.compile(r"(?<=\.)[0-9a-f]{6,16}\b")
"""What gcc -flto puts at the end of the names of sections."""
_PICTURE = "IDAT"
_FOLLOW = ("packed size", "method")
"""Fields that follow the content of a member."""
_LIKE = 200
"""Strings of a table that one is compared with to find its like."""
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.-]{2,}")
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_FOREIGN = re.compile(rb"[\x80-\xff]")
_PLENTY = 5
_LOOKED_AT = 1 << 24
_SEVERAL = 3
_TAIL, _HEAD = re.compile(rb"[\x09\x20-\x7e]*\Z"), re.compile(rb"[\x09\x20-\x7e]*")
_STRING_AT_LEAST, _BESIDE = 8, 4
"""Bytes of a string in a file that is no text, and those of them that are alike."""
_LONGEST_PARTED = 4096
_TEXT_BYTE, _OTHER_BYTE = b"t."
_TEXT_RUN = re.compile(rb"t{8,}")
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
        if field.name not in _FOLLOW or a.data == b.data:  # else it follows the content
            yield field
    if kind == "elf" and (moved := _strings_moved(a, b)):
        yield Order(where=place, kind="program", a=moved[0], b=moved[1])
        return
    if kind == "elf" and a.name == LAID:
        yield from _laid(place, a.data, b.data)
        return
    inner = _of_strings if kind == "elf" and a.name.endswith("_str") else _of_files
    for difference in inner(place, a.data, b.data, depth + 1):
        if kind == "elf" and isinstance(difference, Order):
            continue  # names of sections' tables follow the order of what was linked
        if a.name == _PICTURE and isinstance(difference, Change):
            yield replace(difference, offset=-1)  # no number in it says anything
        elif kind == "elf" and isinstance(difference, Change):
            yield replace(difference, program=not a.name.startswith(_DATA))
        else:
            yield difference


def _laid(place: str, a: bytes, b: bytes) -> Iterator[Order]:
    """Tell functions in another order, where both programs have the same ones."""
    one, two = (tuple(side.decode("latin-1").split("\n")) for side in (a, b))
    if one != two and Counter(one) == Counter(two) and len(set(one)) == len(one):
        yield Order(where=place, kind="program", a=one, b=two)


def _strings_moved(a: Member, b: Member) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the strings of a program that moved: its objects were linked in another order."""
    if a.data == b.data or not a.name.startswith(".rodata") or a.name.startswith(".rodata.str"):
        return None
    one, two = (tuple(x.decode("ascii") for x in _STRING.findall(m.data)) for m in (a, b))
    same = len(one) > 1 and one != two and Counter(one) == Counter(two)
    return (one, two) if same and len(set(one)) == len(one) else None


def _of_strings(where: str, a: bytes, b: bytes, depth: int) -> Iterator[Difference]:
    """Compare two tables of strings, which a linker fills in any order: by what only one has."""
    del depth
    one, two = a.split(b"\0"), b.split(b"\0")
    gone = list((Counter(one) - Counter(two)).elements())
    new = list((Counter(two) - Counter(one)).elements())
    for before in gone[:MOST]:
        likest = max(new[:_LIKE], key=lambda each: alike(_end(each), _end(before)), default=b"")
        if likest in new:
            new.remove(likest)
        yield from of_lines(where, before, likest)
    for after in new[:MOST]:
        yield from of_lines(where, b"", after)


def _end(string: bytes) -> bytes:
    """Return the last of a string, backwards: paths of one file end alike."""
    return string[: -CONTEXT - 1 : -1]


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
        yield from of_texts(where, a, b)
    elif moved := _names_moved(a, b):
        yield Order(where=where, kind="strings", a=moved[0], b=moved[1])
    elif len(a) == len(b):
        yield from _of_equal_length(where, a, b)
    else:
        yield from _of_pieces(where, a, b)


def _names_moved(a: bytes, b: bytes) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the names in two files that are in another order, when nothing else differs."""
    if len(a) != len(b) or len(a) > _LOOKED_AT or Counter(a) != Counter(b):
        return None
    one, two = (tuple(x.decode("ascii") for x in _NAME.findall(side)) for side in (a, b))
    moved = sum(x != y for x, y in zip(one, two, strict=False))
    known = Counter(one) == Counter(two) and len(set(one)) == len(one)
    return (one, two) if known and moved >= _SEVERAL else None


def _is_text(data: bytes) -> bool:
    """Say whether bytes are text, in UTF-8 or in a character set of one byte a letter."""
    head = data[:65536]
    if _CONTROL.search(head):
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return _PLENTY * len(_FOREIGN.findall(head)) < len(head)
    return True


def _of_equal_length(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    done = 0
    runs = (part for run in _runs(a, b) for part in _parted(a, b, *run))
    for start, end in runs:
        if start < done:
            continue
        if string := _string_around(a, b, start, end):
            done = string[1]
            yield from of_lines(where, a[slice(*string)], b[slice(*string)])
            continue
        left, right = a[max(0, start - CONTEXT) : start], a[end : end + CONTEXT]
        yield Change(
            where=where,
            a=a[start:end],
            b=b[start:end],
            left=left,
            right=right,
            left_b=b[max(0, start - CONTEXT) : start],
            right_b=b[end : end + CONTEXT],
            text=end - start >= _NEAR and _printable(a[start:end]) and _printable(b[start:end]),
            offset=start,
        )


def _parted(a: bytes, b: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Part a change where a string ends and other bytes begin, on both sides at once."""
    if end - start > _LONGEST_PARTED:
        yield start, end
        return
    marks = bytes(
        _TEXT_BYTE if _printable(a[n : n + 1] + b[n : n + 1]) else _OTHER_BYTE
        for n in range(start, end)
    )
    at = 0
    for match in _TEXT_RUN.finditer(marks):
        if match.start() > at:
            yield start + at, start + match.start()
        yield start + match.start(), start + match.end()
        at = match.end()
    if start + at < end:
        yield start + at, end


def _string_around(a: bytes, b: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Return where the string begins and ends, on both sides, that a change lies in."""
    low, high = max(0, start - CONTEXT), end + CONTEXT
    spans = []
    for data in (a, b):
        if not _printable(data[start:end].rstrip(b"\0\n") or data[start:end]):
            return None
        before, behind = _TAIL.search(data[low:start]), _HEAD.match(data[end:high])
        length = len(before[0] if before else b""), len(behind[0] if behind else b"")
        spans.append((start - length[0], end + length[1]))
    begin, stop = min(s[0] for s in spans), max(s[1] for s in spans)
    known = all(_printable(d[begin:start]) for d in (a, b)) and stop - begin >= _STRING_AT_LEAST
    return (begin, stop) if known and start - begin + stop - end >= _BESIDE else None


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
    for tag, i1, i2, j1, j2 in blocks(one, two):
        if tag == "equal":
            continue
        for before, after in zip_longest(one[i1:i2], two[j1:j2], fillvalue=b""):
            if _printable(before) and _printable(after):
                yield from of_lines(where, before, after)
            elif before != after:
                yield Change(where=where, a=before[:4096], b=after[:4096], text=False)


def _printable(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F or byte == 0x09 for byte in data)
