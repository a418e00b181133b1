"""Views of verdicts: nothing foreign can drive a terminal, Markdown or a page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbuild.model.verdict import Claim, ReleaseVerdict, Signature, Status
from gbuild.ui import markdown, matrix, page
from gbuild.verify.judge import judge
from gbuild.verify.policy import default_policy, describe

ONE, TWO = "1" * 64, "2" * 64
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script></style><b>",
    "a|b",
    "[x](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "\x1b[2J\x1b]0;owned\x07",
    "line\nbreak\r\n# title",
    "user\u202egnp.exe",
    "@everyone #1",
    "`code` ~~x~~ <!-- -->",
    "\udc80\ud800",
]


def verdict(word: str) -> ReleaseVerdict:
    """Return a verdict in which everything foreign is this word."""
    claims = [
        Claim(
            signer=f"{word}{n}",
            release=word,
            name=word,
            status=status,
            signature=Signature(
                status=Status.GOOD, fingerprint=f"{n}", key_id=word, user_id=word, detail=word
            ),
            artifacts={word: ONE if n else TWO, f"{word}b": ONE},
            problem=word,
            inputs={word: f"{n}{word}"},
            packages={word: f"{ONE}  {word.replace(chr(10), chr(7))}_{n}_all.deb\n"},
            record="same",
        )
        for n, status in enumerate((Status.GOOD, Status.GOOD, Status.BAD, Status.UNKNOWN_KEY))
    ]
    return judge(word, word, claims, policy=default_policy())


def html(*verdicts: ReleaseVerdict, title: str = "tree") -> str:
    return page.page(verdicts, title=title, required="one < two", at=1_700_000_000, version="1")


class Elements(HTMLParser):
    """Collects elements and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)


PLAIN = [tag for tag, _ in Elements(html(verdict("plain"), title="plain")).found]


@pytest.mark.parametrize("word", HOSTILE)
def test_the_page_has_no_element_or_attribute_of_a_stranger(word: str) -> None:
    shown = html(verdict(word), title=word)
    shown.encode()
    elements = Elements(shown)
    assert elements.open == []
    assert [tag for tag, _ in elements.found] == PLAIN
    for _, attributes in elements.found:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert "src" not in attributes
        assert attributes.get("href", "#releases") == "#releases"
    assert not set(shown) & {"\x1b", "\x07", "\u202e", "\r"}


@settings(max_examples=30)
@given(st.text(min_size=1))
def test_no_text_at_all_changes_the_page(word: str) -> None:
    assert [tag for tag, _ in Elements(html(verdict(word), title=word)).found] == PLAIN


def test_the_page_allows_its_own_script_and_style_only() -> None:
    shown = html(verdict("x"))
    elements = Elements(shown)
    (policy,) = (a["content"] for t, a in elements.found if a.get("http-equiv"))
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        ((body,),) = [[*elements.text[tag]]]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert "://" not in re.sub(r"<pre>.*?</pre>", "", shown, flags=re.DOTALL)


def test_the_page_is_the_same_each_time_and_names_what_its_tables_head() -> None:
    shown = html(verdict("x"), verdict("y"))
    assert shown == html(verdict("y"), verdict("x"))
    assert "<caption>" in shown
    for tag, attributes in Elements(shown).found:
        assert tag != "th" or attributes["scope"] in {"row", "col"}


def test_the_newest_release_comes_first() -> None:
    shown = html(*(verdict(name) for name in ("0.9", "0.10.1", "0.10", "v1")))
    order = re.findall(r'<span class="name">([^ ]+) ', shown)
    assert order.index("0.10.1") < order.index("0.10") < order.index("0.9")


@pytest.mark.parametrize("word", HOSTILE)
def test_markdown_is_text_and_tables_keep_their_columns(word: str) -> None:
    shown = markdown.page([verdict(word), verdict("x")], required=word)
    plain = markdown.page([verdict("plain"), verdict("x")], required="plain")
    assert shown.count("\n") == plain.count("\n")
    unescaped = re.compile(r"(?<!\\)\|")
    columns = [len(unescaped.findall(line)) for line in plain.split("\n")]
    assert [len(unescaped.findall(line)) for line in shown.split("\n")] == columns
    own = {"<details>", "<summary>", "</summary>", "</details>"}
    assert set(re.findall(r"<[^>]*>", shown)) <= own
    assert not re.search(r"(?<!\\)[\[@`]", shown)


def test_markdown_fits_a_comment() -> None:
    many = [verdict(f"release-{n}" * 5) for n in range(400)]
    shown = markdown.page(many, required="x")
    assert len(shown) < 65_536
    assert "too long for a comment" in shown


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("width", [None, 50])
def test_the_terminal_shows_no_control(word: str, width: int | None) -> None:
    for verbose in (False, True):
        shown = matrix.text(verdict(word), verbose=verbose, markup=False, width=width)
        shown += matrix.overview([verdict(word)], markup=False, width=width)
        assert not {c for c in shown if not c.isprintable()} - {"\n"}


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_tables_fit_the_terminal(width: int) -> None:
    claims = [
        Claim(
            signer=f"somebody-with-a-long-name-{n}@example.org",
            release="1.0",
            name="hello",
            status=Status.GOOD,
            signature=Signature(
                status=Status.GOOD, fingerprint=f"{n}", user_id="Some Body (long) <a@example.org>"
            ),
            artifacts={f"a-very-long-path/of-an-artefact-{m}.tar.gz": ONE for m in range(n + 1)},
        )
        for n in range(24)
    ]
    judged = judge("1.0", "hello", claims, policy=default_policy(persons=3))
    shown = matrix.text(judged, verbose=False, markup=False, width=width)
    shown += "\n" + matrix.overview([judged], markup=False, width=width)
    shown += "\n" + matrix.required(describe(default_policy()), width)
    long = [line for line in shown.split("\n") if len(line) > width]
    assert long == []


def test_letters_that_look_alike_are_spelled_out() -> None:
    assert "h\u0435llo (h\\u0435llo)" in matrix.text(
        verdict("h\u0435llo"), verbose=False, markup=False
    )
    assert r"(h\u0435llo)" in html(verdict("h\u0435llo"))
    assert r"h\\u0435llo" in markdown.page([verdict("h\u0435llo")], required="")
