"""Foreign text cannot drive the medium it is shown in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbuild.ui import escape


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain text\n\tindented", "plain text\n\tindented"),
        ("naïve 日本語", "naïve 日本語"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\bc\x7f", r"a\x0db\x08c\x7f"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028break", r"line\u2028break"),
        ("lone \udcff surrogate", r"lone \udcff surrogate"),
        ("tag \U000e0041", r"tag \U000e0041"),
    ],
)
def test_terminal_spells_out_what_could_drive_it(foreign: str, shown: str) -> None:
    assert escape.terminal(foreign) == shown


@given(st.text())
def test_terminal_leaves_no_control_and_can_be_encoded(foreign: str) -> None:
    shown = escape.terminal(foreign)
    shown.encode()
    assert all(c in "\n\t" or c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & {chr(c) for c in (*range(9), *range(11, 32), *range(127, 160))}


def test_line_stays_on_one_line() -> None:
    assert escape.line("a\nerror: b\tc") == r"a\nerror: b\tc"


def test_html_has_no_markup() -> None:
    assert escape.html("<a href='x'>&\"") == "&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;"


@pytest.mark.parametrize(
    "foreign",
    ["[x](javascript:1)", "**b**", "`c`", "| cell |", "# title", "<b>", "@team", "https://h"],
)
def test_markdown_has_no_markup(foreign: str) -> None:
    shown = escape.markdown(foreign)
    assert "<" not in shown
    for special in "[]()*`|#@:":
        assert special not in shown.replace(f"\\{special}", "")
