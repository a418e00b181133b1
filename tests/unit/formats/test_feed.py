"""Feeds: the first link that fits, and documents that want more than to be read."""

from __future__ import annotations

import re

import pytest

from gbuild.formats import feed

PATTERN = re.compile(r"hello-(\d+\.\d+)-linux\.zip")
FEED = b"""\
<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel>
<title>hello</title>
<link>https://example.org/hello-9.9-linux.zip</link>
<item><title>t</title><link>https://example.org/hello-2.1-win.zip</link></item>
<item><link> https://example.org/a&amp;b/<![CDATA[hello-2.0-linux.zip]]>
</link></item>
<item><link>https://example.org/hello-1.9-linux.zip</link></item>
</channel></rss>
"""


def first(data: bytes, xpath: str = "//item/link/text()") -> re.Match[str] | None:
    return feed.first_match(data, xpath=xpath, pattern=PATTERN)


def test_the_first_link_that_fits() -> None:
    found = first(FEED)
    assert found
    assert (found.string, found[1]) == ("https://example.org/a&b/hello-2.0-linux.zip", "2.0")


@pytest.mark.parametrize(
    ("xpath", "version"),
    [("/rss/channel/link/text()", "9.9"), ("//link/text()", "9.9"), ("/item/link/text()", None)],
)
def test_ways_from_the_top_and_from_anywhere(xpath: str, version: str | None) -> None:
    found = first(FEED, xpath)
    assert (found[1] if found else None) == version


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no XML document"),
        (b"<html><br></html>", "no XML document"),
        (b"\xff\xfe\x00", "no XML document"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "no XML document"),
        (b"<a>" * 65 + b"</a>" * 65, "deeper than 64"),
        (b"<item>" + b"<link/>" * 10_001 + b"</item>", "more than 10000 links"),
        (b" " * (feed.LARGEST + 1), "more than 4194304 bytes"),
        (b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "declares entities"),
        (b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd">%b;]><a/>', "declares entities"),
    ],
)
def test_a_document_that_is_no_honest_feed(data: bytes, words: str) -> None:
    with pytest.raises(feed.NotAFeed, match=words):
        first(data)


def test_a_link_of_a_megabyte_is_cut_off() -> None:
    data = b"<item><link>" + b"x" * (1 << 20) + b"hello-2.0-linux.zip</link></item>"
    assert first(data) is None
