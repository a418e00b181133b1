"""Manifests: their lines, their order, and Gitian's way of joining inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.formats.manifest import (
    MalformedManifest,
    base_manifest,
    ordered,
    read_in_manifest,
    read_manifest,
    write_in_manifest,
    write_manifest,
)
from gbuild.model.lock import Archive, Environment, Package
from gbuild.model.manifest import Entry
from gbuild.model.plan import Inputs, ResolvedFile, ResolvedRemote

A, B, C = "a" * 64, "b" * 64, "c" * 64


def package(name: str, version: str, arch: str = "amd64", digest: str = A) -> Package:
    return Package(
        name=name, arch=arch, version=version, sha256=digest, size=1, archive="debian", path="p"
    )


def remote(name: str, commit: str) -> ResolvedRemote:
    return ResolvedRemote(
        dir=name, url="u", commit=commit, author_time=0, tree_sha256=A, checkout=Path("x")
    )


def test_lines_are_ordered_by_the_bytes_of_the_path() -> None:
    entries = [Entry(path=path, digest=A) for path in ("b", "a/z", "a-z", "B", ".x", "é", "~")]
    paths = [line[66:] for line in write_manifest(entries).splitlines()]
    assert paths == [".x", "B", "a-z", "a/z", "b", "~", "é"]


def test_a_manifest_of_nothing_is_empty() -> None:
    assert write_manifest([]) == ""
    assert read_manifest("") == ()


def test_what_was_written_is_read_back() -> None:
    text = f"{A}  a b\n{B}  b\n"
    assert read_manifest(text) == (Entry("a b", A), Entry("b", B))
    assert write_manifest(read_manifest(text)) == text


@pytest.mark.parametrize("path", ["", "a\nb", "a\x00", "a\x1b", "a\x7f", "a\u2028b", "\udcff"])
def test_a_path_that_could_forge_a_line_is_refused(path: str) -> None:
    with pytest.raises(MalformedManifest):
        write_manifest([Entry(path=path, digest=A)])


@pytest.mark.parametrize(
    "text",
    [f"{A} a\n", f"{A.upper()}  a\n", f"{A[:-1]}  a\n", "a\n", f"{A}  \n", f"{A}  a\r\n", "\x00"],
)
def test_a_line_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(MalformedManifest):
        read_manifest(text)


def test_a_path_twice_is_refused() -> None:
    with pytest.raises(MalformedManifest, match="twice"):
        read_manifest(f"{A}  a\n{B}  a\n")


def test_a_base_manifest_comes_from_the_lock_in_apts_file_names() -> None:
    environment = Environment(
        suite="bookworm",
        arch="amd64",
        distro="debian",
        request=(),
        archives=(
            Archive(name="debian", suite="bookworm", sha256=A, date=1, signed_by=("F" * 40,)),
        ),
        packages=(
            package("libc6", "2.36-9", "i386", C),
            package("g++", "4:12.2.0-3", digest=B),
            package("libc6", "2.36-9"),
            package("g++-12", "12.2.0-14"),
        ),
        boot=(package("linux-image", "6"),),
    )
    assert base_manifest(environment).splitlines() == [
        f"{A}  g++-12_12.2.0-14_amd64.deb",
        f"{B}  g++_4%3a12.2.0-3_amd64.deb",
        f"{A}  libc6_2.36-9_amd64.deb",
        f"{C}  libc6_2.36-9_i386.deb",
    ]


def test_base_lines_are_sorted_as_sort_does_in_the_c_locale() -> None:
    names = ["libb_1.deb", "libB_1.deb", "lib-a_1.deb", "lib_1.deb", "liba_1.deb"]
    entries = ordered(Entry(path=name, digest=A) for name in names)
    expected = ["lib-a_1.deb", "libB_1.deb", "lib_1.deb", "liba_1.deb", "libb_1.deb"]
    assert [entry.path for entry in entries] == expected


def test_an_in_manifest_is_joined_as_gitian_joined_it() -> None:
    inputs = Inputs(
        files=(ResolvedFile(name="z.tar", sha256=B, path=Path("z")),),
        remotes=(remote("signature", "1" * 40), remote("digit", "2" * 40)),
    )
    text = write_in_manifest("hello", A, inputs)
    assert text == f"{A}  hello-desc.yml\n{B}  z.tar\ngit:{'1' * 40} signaturegit:{'2' * 40} digit"
    assert read_in_manifest(text) == (
        Entry("hello-desc.yml", A),
        Entry("z.tar", B),
        Entry("signature", f"git:{'1' * 40}"),
        Entry("digit", f"git:{'2' * 40}"),
    )


def test_an_in_manifest_without_remotes_ends_with_a_newline() -> None:
    assert write_in_manifest("hello", A, Inputs()) == f"{A}  hello-desc.yml\n"


def test_normalisers_are_inputs_under_names_that_no_file_can_have() -> None:
    tool = ResolvedFile(name="canon-tar", sha256=C, path=Path("t"))
    file = ResolvedFile(name="canon-tar", sha256=B, path=Path("f"))
    inputs = Inputs(files=(file,), tools=(tool,), remotes=(remote("digit", "2" * 40),))
    text = write_in_manifest("hello", A, inputs)
    tail = f"{B}  canon-tar\n{C}  normalise/canon-tar\ngit:{'2' * 40} digit"
    assert text == f"{A}  hello-desc.yml\n{tail}"
    assert Entry("normalise/canon-tar", C) in read_in_manifest(text)


@pytest.mark.parametrize("text", ["git:xyz dir", f"git:{'1' * 40} a b", f"git:{'1' * 40}", "x"])
def test_other_inputs_are_refused(text: str) -> None:
    with pytest.raises(MalformedManifest):
        read_in_manifest(text)
