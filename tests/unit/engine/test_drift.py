"""How a machine's packages differ from a lock, and what the report says then."""

from __future__ import annotations

import pytest

from gbuild.engine.provision import UNKNOWN, Provisioned
from gbuild.model.drift import Installed, compare
from gbuild.model.lock import Archive, Environment, Package


def package(name: str, version: str, arch: str = "amd64") -> Package:
    return Package(
        name=name, arch=arch, version=version, sha256="a" * 64, size=1, archive="debian", path="p"
    )


def installed(name: str, version: str, arch: str = "amd64") -> Installed:
    return Installed(name=name, arch=arch, version=version)


def test_nothing_differs() -> None:
    drift = compare([package("a", "1"), package("b", "1:2")], [installed("b", "1:2"),
                    installed("a", "1")])  # fmt: skip
    assert not drift
    assert (drift.brief, list(drift.lines())) == ("none", [])


def test_every_kind_of_difference_is_told() -> None:
    drift = compare(
        [package("a", "1"), package("b", "2"), package("c", "3", "i386")],
        [installed("b", "2.1"), installed("c", "3"), installed("d", "4", "all")],
    )
    assert drift
    assert drift.brief == "2 missing, 1 of another version, 2 beyond the lock"
    assert list(drift.lines()) == [
        "b:amd64 is 2.1, locked 2",
        "a:amd64 1 is not there",
        "c:i386 3 is not there",
        "c:amd64 3 is not in the lock",
        "d:all 4 is not in the lock",
    ]


@pytest.mark.parametrize(
    ("version", "digest"), [("1:2", "a" * 64), ("1:3", UNKNOWN)], ids=["locked", "another"]
)
def test_the_manifest_knows_only_hashes_of_what_is_locked(version: str, digest: str) -> None:
    found = (installed("b", version),)
    archive = Archive(name="debian", suite="s", sha256="0" * 64, date=1, signed_by=())
    environment = Environment(
        suite="s",
        arch="amd64",
        distro="debian",
        request=(),
        archives=(archive,),
        packages=(package("b", "1:2"),),
    )
    text = Provisioned(found, compare(environment.packages, found)).manifest(environment)
    assert text == f"{digest}  b_1%3a{version[2:]}_amd64.deb\n"
