"""Base manifests of Gitian's assertions and ours, taken apart."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gbuild.errors import UsageFailure
from gbuild.image.asserted import DebSet, package_sets
from gbuild.model.manifest import Report


def sets(base: Mapping[str, str]) -> tuple[DebSet, ...]:
    return package_sets(Report(out_manifest="", in_manifest="", base_manifests=base))


def line(file: str, digit: str = "a") -> str:
    return f"{digit * 64}  {file}\n"


def test_names_versions_and_architectures_are_told_apart() -> None:
    text = line("libc6_2.27-3ubuntu1_i386.deb") + line("git_1%3a2.17.1-1~rc1+b1_amd64.deb")
    [one] = sets({"bionic-linux64": text + line("tzdata_2019c_all.deb")})
    assert (one.label, one.distro, one.foreign) == ("bionic-amd64", "ubuntu", ("i386",))
    git = one.debs[0]
    assert (git.name, git.version, git.arch) == ("git", "1:2.17.1-1~rc1+b1", "amd64")
    assert git.file_name == "git_1%3a2.17.1-1~rc1+b1_amd64.deb"
    assert git.pool_name == "git_2.17.1-1~rc1+b1_amd64.deb"


def test_the_newest_of_several_versions_was_installed() -> None:
    text = line("linux_2.6.9_amd64.deb", "1") + line("linux_2.6.10_amd64.deb", "2")
    [one] = sets({"bookworm-amd64": text})
    assert [deb.version for deb in one.debs] == ["2.6.10"]
    assert [deb.version for deb in one.older] == ["2.6.9"]


def test_two_labels_of_one_machine_must_agree() -> None:
    same = line("a-b_1_amd64.deb")
    assert len(sets({"bionic-linux64": same, "bionic-amd64": same})) == 1
    with pytest.raises(UsageFailure, match="name different packages"):
        sets({"bionic-linux64": same, "bionic-amd64": line("a-b_2_amd64.deb")})


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ({}, "no base manifest"),
        ({"bionic-amd64": ""}, "lists 0 packages"),
        ({"bionic-amd64": line("../../etc/passwd")}, "no package"),
        ({"bionic-amd64": line("a_b_c_d.deb")}, "no package"),
        ({"bionic-amd64": line("ok_1;rm_amd64.deb")}, "no package"),
        ({"bionic-amd64": line("ok_1_../x.deb")}, "no package"),
        ({"lucid-amd64": line("ok_1_amd64.deb")}, "unknown suite: lucid"),
        ({"bio nic-amd64": line("ok_1_amd64.deb")}, "base manifest"),
        ({"amd64": line("ok_1_amd64.deb")}, "is empty"),
    ],
)
def test_what_is_no_list_of_packages_is_refused(base: Mapping[str, str], said: str) -> None:
    with pytest.raises(UsageFailure, match=said):
        sets(base)
