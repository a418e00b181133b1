"""The strict subset of YAML: what is read, what is refused, and where."""

from __future__ import annotations

import time

import pytest
import yaml

from gbuild.formats.located_yaml import Bounds, Mapping, Node, Place, Sequence, Text, parse
from gbuild.formats.problems import InvalidText


def plain(node: Node | None) -> object:
    """Turn nodes into Python values."""
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key.value: plain(value) for key, value in node.pairs}
    return None


def problems(data: bytes, *, fast: bool = False) -> list[tuple[int, int, str]]:
    with pytest.raises(InvalidText) as caught:
        parse(data, fast=fast)
    return [(p.line, p.column, p.reason) for p in caught.value.problems]


def test_all_scalars_are_text_and_know_their_place() -> None:
    node = parse(b"a: yes\nb:\n- 08\n- '2016-01-01'\n- ~\nc: |\n  x\n  y\n")
    assert plain(node) == {"a": "yes", "b": ["08", "2016-01-01", "~"], "c": "x\ny\n"}
    assert isinstance(node, Mapping)
    items = node.get("b")
    assert isinstance(items, Sequence)
    assert [item.place for item in items.items] == [Place(3, 3), Place(4, 3), Place(5, 3)]
    assert [item.is_null for item in items.items if isinstance(item, Text)] == [False, False, True]


def test_a_quoted_null_is_text() -> None:
    node = parse(b"- 'null'\n- \"\"\n- null\n-\n")
    assert isinstance(node, Sequence)
    nulls = [item.is_null for item in node.items if isinstance(item, Text)]
    assert nulls == [False, False, True, True]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# only a comment\n", b"\xef\xbb\xbf"])
def test_an_empty_document_is_none(data: bytes) -> None:
    assert parse(data) is None


def test_a_byte_order_mark_of_utf8_does_not_move_columns() -> None:
    node = parse(b"\xef\xbb\xbfa: b\n")
    assert isinstance(node, Mapping)
    assert node.pairs[0][0] == Text("a", Place(1, 1))


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: 2\na: 3\n", (3, 1, "duplicate key 'a', first given on line 1")),
        (b"a: &x [1]\n", (1, 4, "anchor &x")),
        (b"a: *x\n", (1, 4, "alias *x")),
        (b"a: !!python/object/apply:os.system [id]\n", (1, 4, "tag 'tag:yaml.org,2002:python/")),
        (b"a: !ruby/object:Gem {}\n", (1, 4, "tag '!ruby/object:Gem'")),
        (b"a: !!binary aGk=\n", (1, 4, "tag 'tag:yaml.org,2002:binary'")),
        (b"a: 1\n---\nb: 2\n", (2, 1, "a second document")),
        (b"? [a]\n: 1\n", (1, 3, "a key that is a list or a mapping")),
        (b"<<: {a: 1}\n", (1, 1, "a merge key")),
        (b"a: [1, 2\nb: 3\n", (2, 2, "not YAML")),
        (b"a: 'open\n", (2, 1, "not YAML")),
        (b"\ta: 1\n", (1, 1, "not YAML: a tab where YAML wants spaces")),
        (b"a: b: c\n", (1, 5, "not YAML")),
    ],
)
def test_what_is_refused_names_its_place(
    data: bytes, expected: tuple[int, int, str], *, fast: bool
) -> None:
    line, column, reason = problems(data, fast=fast)[0]
    assert reason.startswith(expected[2])
    if "not YAML" not in reason:
        assert (line, column) == expected[:2]


def test_all_refusals_of_one_document_come_together() -> None:
    reasons = [reason for *_, reason in problems(b"a: &x 1\nb: *x\na: !t 2\n")]
    assert reasons == [
        "anchor &x",
        "alias *x",
        "tag '!t'",
        "duplicate key 'a', first given on line 1",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: \xff\n", (1, 4, "byte 0xff is not UTF-8")),
        ("ok: é\nb: ".encode() + b"\xe9\n", (2, 4, "byte 0xe9 is not UTF-8")),
        (b"a: b\x00c\n", (1, 5, "control character U+0000")),
        (b"a: \x1b[31m\n", (1, 4, "control character U+001B")),
        ("a: \ufeff\n".encode(), (1, 4, "control character U+FEFF")),
        ("name: a\n".encode("utf-16"), (1, 1, "the text is UTF-16 or UTF-32")),
        ("name: a\n".encode("utf-16-be"), (1, 1, "control character U+0000")),
        ("name: a\n".encode("utf-32"), (1, 1, "the text is UTF-16 or UTF-32")),
    ],
)
def test_other_encodings_and_control_characters(
    data: bytes, expected: tuple[int, int, str]
) -> None:
    assert problems(data) == [expected]


def test_bounds_of_size_nodes_and_depth() -> None:
    parse(b"[1, 2]", bounds=Bounds(size=6, nodes=3, depth=2))
    for bounds in (Bounds(size=5), Bounds(nodes=2), Bounds(depth=1)):
        with pytest.raises(InvalidText, match="more than"):
            parse(b"[1, 2]", bounds=bounds)


BOMBS = {
    "billion laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n".encode()
        for n in range(8)
    ),
    "flow nesting": b"[" * 200_000,
    "map nesting": b"{a: " * 100_000,
    "block nesting": b"- " * 200_000,
    "explicit keys": b"? " * 200_000,
    "indented nesting": b"".join(b" " * n + b"- \n" for n in range(1000)),
    "many nodes": b"- a\n" * 200_000,
    "endless quote": b"a: '" + b"x " * 50_000,
    "many anchors": b"".join(b"- &a%d x\n" % n for n in range(50_000)),
    "many documents": b"---\n" * 200_000,
    "many keys": b"".join(b"k%d: 1\n" % n for n in range(50_000)),
    "deep tags": b"!!map {? !!seq [" * 10_000,
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_quickly(name: str, fast: bool) -> None:
    started = time.process_time()
    with pytest.raises(InvalidText) as caught:
        parse(BOMBS[name], bounds=Bounds(nodes=2000), fast=fast)
    assert time.process_time() - started < 5
    assert len(caught.value.problems) <= 50


def test_a_huge_scalar_within_the_bounds_is_read() -> None:
    text = b"script: |\n" + b"  echo 0123456789012345678901234567890123456789\n" * 10_000
    node = parse(text)
    assert isinstance(node, Mapping)
    script = node.get("script")
    assert isinstance(script, Text)
    assert len(script.value) == 10_000 * 46


def test_nothing_is_ever_constructed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    for name in ("load", "load_all", "compose", "unsafe_load", "full_load"):
        monkeypatch.setattr(yaml, name, never)
    assert plain(parse(b"a: [b]\n")) == {"a": ["b"]}
