"""Find what differs between two texts: the order of lines first, then lines, then words. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from gbuild.check.diagnose.differences import Change, Difference, Order
from gbuild.check.diagnose.sequences import LINES, Words, blocks, ends

_LONGEST = 1 << 18
"""Bytes of a line that is compared word by word."""
CONTEXT = 240
"""Bytes around a change that are kept with it."""

_FAR, _DATED = 400, 12
"""Bytes of a line, and of those around a change, in which dates are looked for."""
_TOKEN = re.compile(rb"[A-Za-z0-9]+|[^A-Za-z0-9]")
_WORDS = re.compile(rb"[A-Za-z]+")
_VARIABLES = re.compile(
    rb"(?:^|[\n;{,(\s])\s*(?:export |declare -x |set |env |\$?ENV)?[{\[(]?[\"']?"
    rb"(SHELL|TERM|PATH|HOME|USER|LOGNAME|PWD|OLDPWD|SHLVL|LANG|LC_ALL|MAIL|EDITOR|DISPLAY|"
    rb"HOSTNAME|TZ|XDG_\w+|SSH_\w+|LS_COLORS|PAGER|TMPDIR|DEB_BUILD_\w+)[\"']?[})\]]?\s?"
    rb"(?:=>|[=:])"
)
_ASSIGNED = re.compile(rb"(?:export |declare -x )?[A-Z_][A-Z0-9_]*=|\s*\Z")
_DUMP = 3
"""Well-known variables that a text must set to be a dump of an environment."""
_SHORT = 3
"""Bytes of lines that are too short to be known again: a brace, an empty line."""
_PAIRED = 10_000
"""Lines of a block times those of the other, at most, of which the likest are paired."""
_LIKE = 0.4
_ITEM = re.compile(rb"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;|{}()\[\]<>\"'])+")
_NAMED = re.compile(rb"[A-Za-z_]{2}")
_LISTED = re.compile(rb"[,;|:\]})]")
"""What follows the item of a list, and no word of a sentence."""
_SEPARATED = 3
"""Items that must be there for a line to be a list in another order, where words were added."""
_ENDS = b" \t\r\n,;\\"


def of_texts(where: str, a: bytes, b: bytes) -> Iterator[Difference]:
    """Yield what differs between two texts."""
    one, two = a.splitlines(keepends=True), b.splitlines(keepends=True)
    if len(one) == len(two) and _kinds(one) == _kinds(two):
        if pairs := _moved_only(one, two):
            yield Order(where=where, kind="text", a=_texts(pairs[0]), b=_texts(pairs[1]))
        return
    if numbered := _numbered(one, two):
        here, there = numbered
        yield Order(where=where, kind="text", a=_texts(here), b=_texts(there), whole=False)
        likes = {_plain(line): line for line in two}
        for number, line in enumerate(one):
            yield from of_lines(where, line, likes[_plain(line)], line=number)
        return
    moved = _moved(one, two)
    if len(moved) > 1:
        one_moved, two_moved = ([x for x in e if x in moved] for e in (one, two))
        sides = _texts(one_moved), _texts(two_moved)
        yield Order(where=where, kind="text", a=sides[0], b=sides[1], whole=False)
        one, two = ([line for line in each if line not in moved] for each in (one, two))
    known = {*_VARIABLES.findall(a[:65536]), *_VARIABLES.findall(b[:65536])}
    dates = _dates(set(one) & set(two))
    dumped = 2 * (len(known) >= _DUMP) or int(all(map(_ASSIGNED.match, [*one, *two])))
    for tag, i1, i2, j1, j2 in blocks(one, two):
        if tag != "equal":
            for each in _of_block(where, (one, i1, i2), (two, j1, j2)):
                yield _placed(each, dumped, dates)


_DATE = re.compile(
    rb"(?<![\w.:-])\d{4}[-/.]\d\d[-/.]\d\d(?!\d)|(?<![\w.:-])\d\d?[/.]\d\d?[/.]\d{4}"
)


def _dates(lines: Iterable[bytes]) -> frozenset[bytes]:
    """Return how the dates of some lines are written."""
    return frozenset(_shape(date) for line in lines for date in _DATE.findall(line[:_FAR]))


def _shape(date: bytes) -> bytes:
    return re.sub(rb"\d", b"0", date)


def _placed(difference: Difference, dumped: int, dates: frozenset[bytes]) -> Difference:
    """Tell a change what the rest of its text is."""
    if not isinstance(difference, Change):
        return difference
    line = difference.left[-_DATED:] + difference.a + difference.right[:_DATED]
    listed = bool(dates) and any(_shape(date) in dates for date in _DATE.findall(line))
    return replace(difference, dumped=dumped, listed=listed)


def _texts(lines: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(line.decode("utf-8", "replace") for line in lines)


def _kinds(lines: Sequence[bytes]) -> Counter[bytes]:
    """Count lines; the comma after all but the last member of a list is left out."""
    return Counter(line.rstrip(_ENDS) for line in lines)


def _moved_only(one: Sequence[bytes], two: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the lines between the first and the last that moved; nothing when only ends differ."""
    here, there = ([line.rstrip(_ENDS) for line in each] for each in (one, two))
    if here == there:
        return [], []
    head, tail = ends(here, there)
    return list(one[head : len(one) - tail]), list(two[head : len(two) - tail])


_DIGITS = re.compile(rb"[0-9.:]+")


def _plain(line: bytes) -> bytes:
    """Return a line without its numbers."""
    return _DIGITS.sub(b"#", line)


def _numbered(
    one: Sequence[bytes], two: Sequence[bytes]
) -> tuple[Sequence[bytes], Sequence[bytes]] | None:
    """Return lines that are in another order, when they differ in no more than numbers, too."""
    if not _SEPARATED <= len(one) == len(two) <= LINES:
        return None
    here, there = [_plain(line) for line in one], [_plain(line) for line in two]
    known = len(set(here)) == len(here) and Counter(here) == Counter(there)
    moved = sum(x != y for x, y in zip(here, there, strict=True))
    return (one, two) if known and moved >= _SEPARATED - 1 else None


def _moved(one: Sequence[bytes], two: Sequence[bytes]) -> frozenset[bytes]:
    """Return lines that both sides have once, at least two of them in another order."""
    gone: list[bytes] = []
    new: list[bytes] = []
    for tag, i1, i2, j1, j2 in blocks(one, two):
        if tag != "equal":
            gone += one[i1:i2]
            new += two[j1:j2]
    once = {line for line, n in Counter(one).items() if n == 1 and len(line) > _SHORT}
    once &= {line for line, n in Counter(two).items() if n == 1}
    both = once & set(gone) & set(new)
    if both and [x for x in one if x in both] == [y for y in two if y in both]:
        both = once
    orders = ([line for line in each if line in both] for each in (one, two))
    return frozenset(both) if next(orders) != next(orders) else frozenset()


_Span = tuple[Sequence[bytes], int, int]


def _of_block(where: str, a: _Span, b: _Span) -> Iterator[Difference]:
    """Compare two blocks of lines: the likest are paired, the others stand alone."""
    one, two = a[0][a[1] : a[2]], b[0][b[1] : b[2]]
    for here, there in _pairs(one, two):
        number = a[1] + (here if here is not None else 0)
        above = a[0][number - 1] if number and here is not None else b""
        before = one[here] if here is not None else b""
        after = two[there] if there is not None else b""
        yield from of_lines(where, before, after, above=above, line=number)


def _pairs(one: Sequence[bytes], two: Sequence[bytes]) -> Iterator[tuple[int | None, int | None]]:
    """Pair lines in their order; of blocks of other lengths those that are most alike."""
    if len(one) == len(two) or len(one) * len(two) > _PAIRED:
        longest = range(max(len(one), len(two)))
        yield from ((n if n < len(one) else None, n if n < len(two) else None) for n in longest)
        return
    best = _likest([_known(x) for x in one], [_known(y) for y in two])
    i = j = 0
    for here, there in [*best, (len(one), len(two))]:
        yield from ((n, None) for n in range(i, here))
        yield from ((None, n) for n in range(j, there))
        if here < len(one):
            yield here, there
        i, j = here + 1, there + 1


def _known(line: bytes) -> frozenset[bytes]:
    return frozenset(_WORDS.findall(line[:400])) or frozenset((line.strip()[:9],))


def _likest(
    one: Sequence[frozenset[bytes]], two: Sequence[frozenset[bytes]]
) -> list[tuple[int, int]]:
    """Return the pairing in order with the most likeness (Needleman and Wunsch)."""
    scores = [[0.0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) - 1, -1, -1):
        for j in range(len(two) - 1, -1, -1):
            like = _likeness(one[i], two[j])
            paired = like + scores[i + 1][j + 1] if like >= _LIKE else 0.0
            scores[i][j] = max(paired, scores[i + 1][j], scores[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(one) and j < len(two):
        like = _likeness(one[i], two[j])
        if like >= _LIKE and scores[i][j] == like + scores[i + 1][j + 1]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif scores[i][j] == scores[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _likeness(one: frozenset[bytes], two: frozenset[bytes]) -> float:
    return 2 * len(one & two) / (len(one) + len(two))


def of_lines(
    where: str, a: bytes, b: bytes, *, above: bytes = b"", line: int = -1
) -> Iterator[Difference]:
    """Compare two lines (or blocks of lines) word by word."""
    if a == b:
        return
    one, two = _TOKEN.findall(a[:_LONGEST]), _TOKEN.findall(b[:_LONGEST])
    words = Words(one, two)
    if max(len(a), len(b)) > _LONGEST or not words.quick:
        yield Change(where=where, a=a[: 1 << 16], b=b[: 1 << 16], line=line)
        return
    if one != two and Counter(one) == Counter(two) and (items := _items_moved(a, b)):
        pair = _texts(items[0]), _texts(items[1])
        yield Order(where=where, kind="line", a=pair[0], b=pair[1], whole=len(items[0]) > 2)
        return
    listed = _reordered(a, b)
    if listed:
        a, b, here, there = listed
        yield Order(where=where, kind="line", a=_texts(here), b=_texts(there), whole=False)
        one, two = _TOKEN.findall(a), _TOKEN.findall(b)
        words = Words(one, two)
    text = above[-CONTEXT:].decode("utf-8", "replace")
    starts, starts_b = _starts(one), _starts(two)
    for tag, i1, i2, j1, j2 in words.opcodes():
        gone = b"".join([*one[i1:i2], *two[j1:j2]])
        if tag != "equal" and not (listed and _SEPARATORS.fullmatch(gone)):
            head, tail = _shared(b"".join(one[i1:i2]), b"".join(two[j1:j2]))
            begin, end = starts[i1] + head, starts[i2] - tail
            begin_b, end_b = starts_b[j1] + head, starts_b[j2] - tail
            yield Change(
                where=where,
                a=a[begin:end],
                b=b[begin_b:end_b],
                left=a[max(0, begin - CONTEXT) : begin],
                right=a[end : end + CONTEXT],
                left_b=b[max(0, begin_b - CONTEXT) : begin_b],
                right_b=b[end_b : end_b + CONTEXT],
                above=text,
                line=line,
            )


_PROSE = frozenset(
    b"the a an of on in at to is are was and or for with by from that this it".split()
)
"""Words of sentences: who turns one around means it."""
_SEPARATORS = re.compile(rb"[\s,;|:\"']*")
_LEAD, _TRAIL = re.compile(rb"[^0-9]+"), re.compile(rb"[^0-9]+\Z")


def _shared(one: bytes, two: bytes) -> tuple[int, int]:
    """Count the letters before and after the digits in which two words differ: -j4, git2024."""
    head, other = _LEAD.match(one), _LEAD.match(two)
    tail, rest = _TRAIL.search(one), _TRAIL.search(two)
    before = len(head[0]) if head and other and head[0] == other[0] else 0
    after = len(tail[0]) if tail and rest and tail[0] == rest[0] else 0
    return (before, after) if before + after < min(len(one), len(two)) else (0, 0)


def _reordered(a: bytes, b: bytes) -> tuple[bytes, bytes, list[bytes], list[bytes]] | None:
    """Find a list in another order in lines that differ in more than that; return the rest too."""
    spans = [list(_ITEM.finditer(side)) for side in (a, b)]
    counts = [Counter(match[0] for match in each) for each in spans]
    both = {x for x, n in counts[0].items() if n == counts[1][x] == 1 and _NAMED.search(x)}
    both &= {
        m[0] for m in spans[0] if _LISTED.match(a[m.end() : m.end() + 2]) or m[0][:1] in b"\"'"
    }
    one, two = ([m[0] for m in each if m[0] in both] for each in spans)
    head, tail = ends(one, two)
    one, two = one[head : len(one) - tail], two[head : len(two) - tail]
    stays = {x for tag, i1, i2, _, _ in blocks(one, two) if tag == "equal" for x in one[i1:i2]}
    moved = set(one) - stays
    if len(moved) < _SEPARATED - 1 or len(one) < _SEPARATED:
        return None
    rests = [_without(side, each, moved) for side, each in zip((a, b), spans, strict=True)]
    return rests[0], rests[1], one, two


def _without(line: bytes, items: Sequence[re.Match[bytes]], moved: set[bytes]) -> bytes:
    out, at = [], 0
    for match in items:
        if match[0] in moved:
            out.append(line[at : match.start()])
            at = match.end()
    return b"".join([*out, line[at:]])


def _items_moved(a: bytes, b: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """Return the words of two lines from the first that moved to the last, if names did."""
    one, two = _ITEM.findall(a), _ITEM.findall(b)
    if Counter(one) != Counter(two):
        one, two = _TOKEN.findall(a), _TOKEN.findall(b)
        if len(one) <= 8:
            return None
    head, tail = ends(one, two)
    one, two = one[head : len(one) - tail], two[head : len(two) - tail]
    named = {x for x, y in zip(one, two, strict=True) if x != y and re.search(rb"[A-Za-z_]", x)}
    if len(_PROSE & {word.lower() for word in one}) > 1:
        return None
    return (one, two) if len(named) > 1 else None


def _starts(tokens: Sequence[bytes]) -> list[int]:
    """Return where each token starts, and the end."""
    return [0, *accumulate(map(len, tokens))]
