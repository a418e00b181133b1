"""Which files are an entry: every name that public trees have used, and what is none."""

from __future__ import annotations

import pytest

from gbuild.model.sigs_entries import is_entry_file, pairs
from gbuild.model.verdict import Kind

A = "a-build.assert"


def names(*files: str) -> list[tuple[str, str | None, str | None]]:
    return [(pair.name, pair.assertion, pair.signature) for pair in pairs(files)]


def test_an_assertion_and_its_signature_are_a_pair() -> None:
    files = ["b-build.assert.sig", "b-build.assert", "README", A, ".hidden"]
    assert names(*files) == [("a", A, None), ("b", "b-build.assert", "b-build.assert.sig")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((A, "a-build.sig"), ("a", A, "a-build.sig")),
        ((A, "a.build.sig"), ("a", A, "a.build.sig")),
        ((A, "a-build.assert.asc"), ("a", A, "a-build.assert.asc")),
        ((A, "a-build.assert.gpg"), ("a", A, "a-build.assert.gpg")),
        (("a-build.assert.asc",), ("a", None, "a-build.assert.asc")),
        (("a-build.sig",), ("a", None, "a-build.sig")),
        (("all.SHA256SUMS", "all.SHA256SUMS.asc"), ("all", "all.SHA256SUMS", "all.SHA256SUMS.asc")),
        (("SHA256SUMS", "SHA256SUMS.gpg"), ("SHA256SUMS", "SHA256SUMS", "SHA256SUMS.gpg")),
        (("sha256sums.txt", "sha256sums.txt.sig"),
         ("SHA256SUMS", "sha256sums.txt", "sha256sums.txt.sig")),
        (("SHA256SUMS.asc",), ("SHA256SUMS", None, "SHA256SUMS.asc")),
    ],
)  # fmt: skip
def test_names_of_real_trees(
    files: tuple[str, ...], expected: tuple[str, str | None, str | None]
) -> None:
    assert names(*files) == [expected]
    assert all(map(is_entry_file, files))


def test_the_signature_that_names_the_whole_document_is_preferred() -> None:
    (pair,) = pairs([A, "a-build.sig", "a-build.assert.asc", "a-build.assert.sig"])
    assert pair.signature == "a-build.assert.sig"
    assert pair.others == ("a-build.assert.asc", "a-build.sig")


def test_several_entries_in_one_folder_and_their_kinds() -> None:
    found = pairs(["all.SHA256SUMS", "noncodesigned.SHA256SUMS", A, "b-build.assert"])
    assert [(pair.name, pair.kind) for pair in found] == [
        ("a", Kind.GITIAN),
        ("all", Kind.SUMS),
        ("b", Kind.GITIAN),
        ("noncodesigned", Kind.SUMS),
    ]


def test_two_spellings_of_one_document_are_two_entries() -> None:
    assert names("SHA256SUMS", "sha256sums.txt", "sha256sums.txt.asc") == [
        ("SHA256SUMS", "SHA256SUMS", None),
        ("SHA256SUMS", "sha256sums.txt", "sha256sums.txt.asc"),
    ]


@pytest.mark.parametrize(
    "file",
    ["-build.assert", "-build.sig", "build.assert", "README.asc", "alice.asc", "a.sig", "a.assert",
     "a-build.assert.tsr", "a-build.intoto.dsse.json", "SHA256SUMS.part", "MD5SUMS"],
)  # fmt: skip
def test_what_is_no_entry(file: str) -> None:
    assert names(file) == []
    assert not is_entry_file(file)
