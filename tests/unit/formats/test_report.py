"""Gitian's report: our bytes, and every shape of the past."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.formats.report import Unreadable, read_report, write_report
from gbuild.model.manifest import Report

GOLDEN = Path(__file__).parents[2] / "golden" / "reports"
A, B = "a" * 64, "b" * 64

REPORT = Report(
    out_manifest=f"{A}  hello.tar.gz\n",
    in_manifest=f"{A}  hello-desc.yml\n{B}  hello.tar.xz\ngit:{'1' * 40} hello",
    base_manifests={
        "bookworm-amd64": f"{A}  a_1_amd64.deb\n{B}  b_1%3a2_amd64.deb\n",
        "bookworm-i386": "",
    },
)
ASSERTION = Report(
    out_manifest=f"{A}  a\n{B}  b\n",
    in_manifest=f"{A}  hello-desc.yml\n",
    base_manifests={"bookworm-amd64": f"{A}  a_1_amd64.deb\n"},
    cache_common_manifest=f"{A}  x/y\n{B}  x/z\n",
    cache_package_manifest=f"{A}  y\n",
    release="0.21",
    name="hello",
    type="build",
)


def test_a_report_has_gitians_bytes() -> None:
    assert write_report(REPORT) == (GOLDEN / "report.yml").read_bytes()


def test_an_assertion_has_gitians_bytes() -> None:
    assert write_report(ASSERTION) == (GOLDEN / "assertion.yml").read_bytes()


@pytest.mark.parametrize("report", [REPORT, ASSERTION])
def test_what_was_written_is_read_back(report: Report) -> None:
    assert read_report(write_report(report)) == report


@pytest.mark.parametrize(
    "name",
    ["syck-folded.assert", "old-psych.assert", "plain-map.assert", "list-of-maps.assert"],
)
def test_every_shape_of_the_past_is_read(name: str) -> None:
    report = read_report((GOLDEN / name).read_bytes())
    assert report.out_manifest == ASSERTION.out_manifest
    assert report.in_manifest == f"{A}  hello-desc.yml\ngit:{'1' * 40} hello"
    assert report.base_manifests == {"lucid-i386": f"{A}  a_1_i386.deb\n", "lucid-amd64": ""}
    assert (report.release, report.name, report.type) == ("0.8.3.5", "hello", "build")
    assert report.optionals is None


def test_missing_keys_are_empty() -> None:
    assert read_report(b"--- !omap\n- out_manifest: ''\n") == Report(
        out_manifest="", in_manifest="", base_manifests={}
    )


def test_unknown_text_is_kept_and_written_at_the_end() -> None:
    data = write_report(REPORT) + b"- signed_on: tuesday\n"
    report = read_report(data)
    assert report.extra == {"signed_on": "tuesday"}
    assert write_report(report) == data


@pytest.mark.parametrize("optionals", [(), ("a",), ("a", "b-1", "yes")])
def test_optionals_are_a_list(optionals: tuple[str, ...]) -> None:
    report = Report(
        out_manifest="", in_manifest="", base_manifests={}, type="build", optionals=optionals
    )
    assert read_report(write_report(report)) == report


@pytest.mark.parametrize(
    "release",
    ["0.13", "1", "1e3", "0x10", "yes", "No", "null", "2016-01-01", "08", "1_0", "~", "a b", "é"],
)
def test_a_release_that_looks_like_something_else_stays_text(release: str) -> None:
    report = Report(out_manifest="", in_manifest="", base_manifests={}, release=release)
    data = write_report(report)
    assert read_report(data).release == release
    assert f"- release: {release}\n".encode() not in data


@pytest.mark.parametrize("release", ["v0.18.5.1-win", "0.8.3.5", "0.21.5.6-osx-signed", "1.0.0"])
def test_a_usual_release_stays_plain(release: str) -> None:
    report = Report(out_manifest="", in_manifest="", base_manifests={}, release=release)
    assert f"- release: {release}\n".encode() in write_report(report)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the report is not a map"),
        (b"<!DOCTYPE html>\n<html><body>x</body></html>\n", "the report is not a map"),
        (b"- a\n- b\n", "the report is not a map"),
        (b"- in_manifest: x\n", "it has no out_manifest"),
        (b"- out_manifest: [a]\n", "out_manifest is not text"),
        (b"- out_manifest: ''\n- base_manifests: [[a]]\n", "base_manifests is not a map"),
        (b"- out_manifest: ''\n- out_manifest: x\n", "given twice"),
        (b"- out_manifest: ''\n- base_manifests: [{a: ''}, {a: x}]\n", "given twice"),
        (b"- out_manifest: x\n  release: y\n", "without one key an item"),
        (b"- out_manifest: x\n- base_manifests: [{a: x, b: y}]\n", "without one key an item"),
        (b"- out_manifest: x\n- {}\n", "without one key an item"),
        (b"- out_manifest: &a ''\n- in_manifest: *a\n", "anchor &a"),
        (b"- out_manifest: !!python/name:os.system ''\n", "tag"),
        (b"--- !ruby/object:OpenStruct\nout_manifest: ''\n", "tag"),
        (b"- out_manifest: \xff\n", "byte 0xff is not UTF-8"),
        (b"- out_manifest: [[[[[[[[a]]]]]]]]\n", "levels of nesting"),
        (b"- out_manifest: ''\n---\n- out_manifest: ''\n", "a second document"),
        (b"- out_manifest: ''\n- " + b"k" * 300 + b": ''\n", "a key too long"),
        (b"\x00\x01\x02", "control character"),
    ],
)
def test_what_is_no_report_is_unreadable(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_report(data)
    assert reason in caught.value.details[0]
    assert caught.value.exit_code == 2
