"""Versions are ordered as dpkg orders them."""

from __future__ import annotations

import subprocess
from itertools import combinations

import pytest

from gbuild.model.deb_version import newer

VERSIONS = (
    *("0", "1", "1.0", "1.0-1", "1.0-1+b1", "1.0-1~bpo1", "1.0~rc1", "1.0~~", "1.0~", "1.0+dfsg-1"),
    *("2:0.9", "0:1.0", "1.10", "1.9", "1.0a", "1.0.a", "1.0+", "1.0-0", "12.2.0-14", "12.10.0-1"),
    *("3.0pl1-120ubuntu4", "0.8.16~exp12ubuntu10.24", "1.2-3-4", "1:1.2-3", "00.1", "1.01"),
)


@pytest.mark.parametrize("a", VERSIONS)
def test_the_order_is_dpkgs(a: str) -> None:
    for b in VERSIONS:
        asked = subprocess.run(["dpkg", "--compare-versions", a, "gt", b], check=False)
        assert (newer(a, b) > 0) == (asked.returncode == 0), (a, b)


def test_the_order_is_one() -> None:
    for a, b in combinations(VERSIONS, 2):
        assert newer(a, b) == -newer(b, a)
