"""Which release a list of sums is of, by the names of the files alone."""

from __future__ import annotations

import pytest

from gbuild.verify.stated import versions, wrong_release


@pytest.mark.parametrize(
    ("release", "paths", "wrong"),
    [
        ("1.2", ["hello-1.2-x86_64-linux-gnu.tar.gz", "hello-1.2.dmg"], False),
        ("1.3", ["hello-1.2.tar.gz"], True),
        ("v1.2", ["hello-1.2.tar.gz"], False),
        ("1.2rc1", ["hello-1.2rc1.tar.gz"], False),
        ("1.2-rc1", ["hello-1.2rc1.tar.gz"], False),
        ("1.2", ["hello-1.2rc1.tar.gz"], True),
        ("1.2", ["hello-1.2.1.tar.gz"], True),
        ("1.2", ["hello.tar.gz", "hello-1.3.tar.gz"], False),  # not every name tells
        ("nightly", ["hello-1.3.tar.gz"], False),
        ("1.2", [], False),
    ],
)
def test_releases(release: str, paths: list[str], wrong: bool) -> None:
    assert (wrong_release(release, paths) is not None) == wrong


def test_it_says_what_it_found() -> None:
    assert wrong_release("2.0", ["a-1.0", "b-1.1"]) == "the files are of 1.0, 1.1, not of 2.0"
    assert versions("a-0.1-RC2.tar") == {"0.1rc2"}
