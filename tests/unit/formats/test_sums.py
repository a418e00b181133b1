"""Lists of sums in sha256sum's three forms, and what no honest list holds."""

from __future__ import annotations

import pytest

from gbuild.formats.manifest import MalformedManifest
from gbuild.formats.sums import read_sums
from gbuild.model.manifest import Entry

ONE, TWO = "1" * 64, "ab" * 32


@pytest.mark.parametrize(
    "line",
    [
        f"{TWO}  a b.tar",
        f"{TWO} *a b.tar",
        f"SHA256 (a b.tar) = {TWO}",
        f"{TWO.upper()}  a b.tar",
        f"{TWO}  a b.tar\r",
    ],
)
def test_every_form_says_the_same(line: str) -> None:
    assert read_sums(f"{ONE}  x\n{line}\n".encode()) == (
        Entry(path="x", digest=ONE),
        Entry(path="a b.tar", digest=TWO),
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 lines"),
        (b"\n\n", "0 lines"),
        (b"\xff", "not UTF-8"),
        (f"{ONE}  a\n{TWO}  a".encode(), "names a file twice"),
        (f"{ONE}  a\n{ONE} *a".encode(), "names a file twice"),
        (f"{ONE} a".encode(), "not a line of sha256sum"),
        (f"{ONE[1:]}  a".encode(), "not a line of sha256sum"),
        (f"\\{ONE}  a\\nb".encode(), "not a line of sha256sum"),
        (f"{ONE}  a\x00".encode(), "not a line of sha256sum"),
        (f"# comment\n{ONE}  a".encode(), "not a line of sha256sum"),
        (f"MD5 (a) = {ONE[:32]}".encode(), "not a line of sha256sum"),
        (f"{ONE}  a\n".encode() * 100_001, "100001 lines"),
    ],
)
def test_what_is_no_list(data: bytes, words: str) -> None:
    with pytest.raises(MalformedManifest, match=words):
        read_sums(data)
