"""The table of suites and the pinned keys."""

from __future__ import annotations

import hashlib
from importlib import resources

import pytest

from gbuild.errors import UsageFailure
from gbuild.image.base import base_packages, image_key
from gbuild.image.suites import known_suites, suite
from gbuild.image.trust import dearmored

_KEYRINGS = {
    "debian.gpg": "c0459cccda7a48ae0eba6c718f9f3eb03836c79549d23fc308c60a824821e2e6",
    "debian-archived.gpg": "d53ab89eb6d909ba88e56b7c6fb470b1c7faac02465a711f82603d93ba7f17ed",
    "ubuntu.gpg": "af46e02bb4ea8d88db4e302c83da84d7a4f56d88ee969416b8628973b3cd0547",
}


@pytest.mark.parametrize("name", sorted(_KEYRINGS))
def test_the_pinned_keys_are_the_ones_that_were_reviewed(name: str) -> None:
    data = resources.files("gbuild.image").joinpath("keyrings", name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == _KEYRINGS[name]
    assert dearmored(data, where=name) == data


@pytest.mark.parametrize("distro", ["debian", "ubuntu"])
def test_every_suite_has_an_archive_and_pinned_keys(distro: str) -> None:
    for name in known_suites(distro):
        known = suite(distro, name)
        assert known.pockets[0].suite == name
        assert set(known.keyrings) <= _KEYRINGS.keys()


def test_security_and_updates_of_living_suites_may_not_stand_still() -> None:
    moving = {p.suite for p in suite("debian", "bookworm").pockets if p.max_age}
    assert moving == {"bookworm-security", "bookworm-updates"}
    assert not any(p.max_age for p in suite("debian", "buster").pockets)
    assert {p.suite for p in suite("ubuntu", "jammy").pockets if p.max_age} == {
        "jammy-updates",
        "jammy-security",
    }


def test_old_suites_have_the_old_shape() -> None:
    buster = suite("debian", "buster")
    assert not buster.merged_usr
    assert "buster/updates" in {p.suite for p in buster.pockets}
    assert suite("ubuntu", "noble", arch="arm64").pockets[0].archive == "ubuntu-ports"


@pytest.mark.parametrize(
    ("distro", "name", "expected"),
    [
        ("debian", "bokworm", "did you mean bookworm"),
        ("debian", "stable", "name the release"),
        ("ubuntu", "jamy", "did you mean jammy"),
    ],
)
def test_an_unknown_suite_names_the_nearest(distro: str, name: str, expected: str) -> None:
    with pytest.raises(UsageFailure) as caught:
        suite(distro, name)
    assert expected in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_an_unknown_distribution_is_refused() -> None:
    with pytest.raises(UsageFailure, match="unknown distribution: gentoo"):
        suite("gentoo", "x")


def test_the_key_of_an_image_depends_on_everything_that_goes_in() -> None:
    keys = {
        image_key("a", base="full", date=1),
        image_key("b", base="full", date=1),
        image_key("a", base="minimal", date=1),
        image_key("a", base="full", date=2),
    }
    assert len(keys) == 4
    assert "openssh-server" in base_packages("minimal")
    assert set(base_packages("minimal")) <= set(base_packages("full"))
