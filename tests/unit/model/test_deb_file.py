"""Names of .deb files are read and written in one place."""

from __future__ import annotations

import pytest

from gbuild.model.deb_file import DebFile, read_file_name


@pytest.mark.parametrize(
    ("file", "name", "version", "arch"),
    [
        ("gcc_12.2.0-14_amd64.deb", "gcc", "12.2.0-14", "amd64"),
        ("git_1%3a2.39.2-1_all.deb", "git", "1:2.39.2-1", "all"),
        ("g++_4%3A12_amd64.deb", "g++", "4:12", "amd64"),
    ],
)
def test_a_name_says_package_version_and_architecture(
    file: str, name: str, version: str, arch: str
) -> None:
    told = read_file_name(file)
    assert told == DebFile(name, version, arch)
    assert told.file_name.lower() == file.lower()


@pytest.mark.parametrize("file", ["", "gcc.deb", "a_b.deb", "a_1_b_c.deb", "x/a_1_b.deb", "a_1_b"])
def test_other_names_say_nothing(file: str) -> None:
    assert read_file_name(file) is None
