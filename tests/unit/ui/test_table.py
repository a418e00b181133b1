"""Tables keep their columns whatever their cells hold."""

from __future__ import annotations

from gbuild.ui import table


def test_plain_aligns_columns_and_escapes_cells() -> None:
    text = table.plain(("what", "state"), [("kernel", "ok"), ("日本", "\x1b[2J")])
    assert text.split("\n") == ["what    state", "kernel  ok", "日本    \\x1b[2J"]


def test_plain_keeps_lines_of_a_cell_in_its_column() -> None:
    text = table.plain(("a", "b"), [("one\ntwo", "x"), ("y", "three\nfour")])
    assert text.split("\n") == ["a    b", "one  x", "two", "y    three", "     four"]


def test_markdown_cells_cannot_end_their_cell() -> None:
    text = table.markdown(("name",), [("a|b\n<i>",)])
    assert text.split("\n") == ["| name |", "| --- |", r"| a\|b\\n&lt;i&gt; |"]
