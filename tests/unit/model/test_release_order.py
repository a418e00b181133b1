"""Which release is older."""

from __future__ import annotations

import pytest

from gbuild.model.release_order import is_older, line


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.2rc1", "1.2"),
        ("1.2-rc1", "1.2-rc2"),
        ("1.2-beta", "1.2rc1"),
        ("0.21.0rc5-linux", "0.21.0-linux"),
        ("v0.18.4.4-linux", "v0.18.5.1-linux"),
        ("2.10", "2.10-1"),
        ("2.10-1", "2.10-2"),
        ("2026-11-20", "2026-12-01"),
        ("linux64-1.0", "linux64-1.1"),
        ("release-9", "release-10"),
        ("1.2a1", "1.2b1"),
    ],
)
def test_the_older_one_is_older(older: str, newer: str) -> None:
    assert is_older(older, newer) is True
    assert is_older(newer, older) is False


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.0.0"), ("1.0", "v1.0"), ("a", "a")])
def test_the_same_release_is_not_older(one: str, other: str) -> None:
    assert is_older(one, other) is False


@pytest.mark.parametrize(
    ("one", "other"), [("spring", "autumn"), ("1.0", "main"), ("3f072b34aa", "9cd0e1f2bb")]
)
def test_names_that_tell_no_order(one: str, other: str) -> None:
    assert is_older(one, other) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("monero-linux-0.18", "monero-linux"),
        ("hello", "hello"),
        ("all", "all"),
        ("1.0", "1.0"),
        ("win32-installer", "win32-installer"),
    ],
)
def test_the_line_of_a_package_has_no_version(name: str, expected: str) -> None:
    assert line(name) == expected
