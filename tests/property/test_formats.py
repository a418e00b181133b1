"""What holds for every input: parsers refuse with one error, writers and readers agree."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gbuild.errors import DescriptorInvalid, GbuildError
from gbuild.formats import located_yaml
from gbuild.formats.artifacts import artifacts, listed
from gbuild.formats.descriptor import KEYS, parse_descriptor
from gbuild.formats.lockfile import canonical, lock_digest, read_lock, write_lock
from gbuild.formats.manifest import (
    MalformedManifest,
    read_in_manifest,
    read_manifest,
    write_manifest,
)
from gbuild.formats.problems import InvalidText
from gbuild.formats.report import Unreadable, read_report, write_report
from gbuild.model.lock import Archive, Environment, Lock, Package
from gbuild.model.manifest import Entry, Report

MINIMAL = b"""\
name: hello
suites: [bookworm]
architectures: [amd64]
reference_datetime: "2024-01-01 00:00:00"
script: "true"
"""

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
YAML_SOUP = st.text("ab:-[]{}#&*!|>'\"%@`,?~ \n\t\\0\u00e9\u2028\ufeff\x00\x85", max_size=60)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def well_said(error: GbuildError) -> None:
    """Check that a refusal tells a person something, in one line that a terminal can show."""
    assert error.brief.isprintable()
    assert error.exit_code == 2


def parse(data: bytes) -> None:
    """Parse a descriptor; anything but success and DescriptorInvalid escapes."""
    try:
        parse_descriptor(data, path="x.yml")
    except DescriptorInvalid as error:
        well_said(error)


@given(st.binary(max_size=200))
def test_bytes_are_a_descriptor_or_refused(data: bytes) -> None:
    parse(data)


@given(YAML_SOUP)
def test_soup_is_a_descriptor_or_refused(soup: str) -> None:
    parse(soup.encode())
    parse(MINIMAL + b"packages: " + soup.encode())


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_value_under_any_key_is_read_or_refused(document: dict[str, object]) -> None:
    parse(yaml.safe_dump(document, allow_unicode=True).encode())


@given(st.integers(0, len(MINIMAL)), st.binary(min_size=1, max_size=4))
def test_damage_anywhere_is_read_or_refused(position: int, damage: bytes) -> None:
    parse(MINIMAL[:position] + damage + MINIMAL[position + len(damage) :])


def outline(node: located_yaml.Node | None) -> object:
    """Return a document's values without their places."""
    if isinstance(node, located_yaml.Text):
        return None if node.is_null else node.value
    if isinstance(node, located_yaml.Sequence):
        return [outline(item) for item in node.items]
    if isinstance(node, located_yaml.Mapping):
        return [(key.value, outline(value)) for key, value in node.pairs]
    return None


@given(VALUES)
def test_both_yaml_parsers_read_the_same(value: object) -> None:
    data = yaml.safe_dump(value, allow_unicode=True).encode()
    readings: list[object] = []
    for fast in (False, True):
        try:
            readings.append(outline(located_yaml.parse(data, fast=fast)))
        except InvalidText:
            readings.append(InvalidText)
    assert readings[0] == readings[1]


PATH = st.text(string.ascii_letters + string.digits + "@_/.:+-", min_size=1, max_size=30)
MANIFEST = st.dictionaries(PATH, HEX, max_size=4).map(
    lambda found: write_manifest(Entry(path=path, digest=digest) for path, digest in found.items())
)
ANY = st.one_of(MANIFEST, TEXT, st.text("ab \n'\"\\:#-é\t\x00\u2028", max_size=20))
REPORTS = st.builds(
    Report,
    out_manifest=ANY,
    in_manifest=ANY,
    base_manifests=st.dictionaries(st.text(min_size=1, max_size=20), ANY, max_size=3),
    cache_common_manifest=ANY,
    cache_package_manifest=ANY,
    release=st.one_of(st.none(), TEXT),
    name=st.one_of(st.none(), TEXT),
    type=st.one_of(st.none(), TEXT),
    optionals=st.one_of(st.none(), st.lists(TEXT, max_size=3).map(tuple)),
    extra=st.dictionaries(st.text(string.ascii_letters + " é\n", min_size=15, max_size=20), TEXT),
)


@given(REPORTS)
def test_a_report_is_read_as_it_was_written(report: Report) -> None:
    data = write_report(report)
    assert read_report(data) == report
    assert write_report(read_report(data)) == data


@given(REPORTS)
def test_other_yaml_readers_find_the_same_text(report: Report) -> None:
    node: Any = yaml.compose(write_report(report).decode(), Loader=yaml.BaseLoader)
    values = {item.value[0][0].value: item.value[0][1].value for item in node.value}
    assert values["out_manifest"] == report.out_manifest
    if report.release is not None:
        assert values["release"] == report.release


@given(st.one_of(st.binary(max_size=200), YAML_SOUP.map(str.encode)))
def test_bytes_are_a_report_or_unreadable(data: bytes) -> None:
    for whole in (data, b"--- !!omap\n- out_manifest: " + data):
        try:
            read_report(whole)
        except Unreadable as error:
            well_said(error)


@given(st.dictionaries(PATH, HEX, max_size=6))
def test_a_manifest_is_read_as_it_was_written(found: dict[str, str]) -> None:
    text = write_manifest(Entry(path=path, digest=digest) for path, digest in found.items())
    entries = read_manifest(text)
    assert {entry.path: entry.digest for entry in entries} == found
    assert [entry.path for entry in entries] == sorted(found, key=str.encode)


@given(TEXT)
def test_any_text_is_a_manifest_or_malformed(text: str) -> None:
    for read in (read_manifest, read_in_manifest):
        try:
            read(text)
        except MalformedManifest as error:
            well_said(error)


LINES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["0" * 64, "a" * 64, "A" * 64, "f" * 63]),
    st.sampled_from(["  ", "  ", "  ", " ", "   "]),
    st.text("aAb./\\ \u0430\ufb01~\u200b", max_size=6),
)
LISTS = st.lists(LINES, max_size=4).map("\n".join)


@given(LISTS, st.sampled_from(["", "\n", "\n\n"]))
def test_a_list_taken_apart_as_a_whole_is_that_of_its_lines(lines: str, end: str) -> None:
    """The quick way and the slow one read the same, or refuse the same."""
    text = lines + end
    try:
        expected = artifacts(read_manifest(text))
    except MalformedManifest as error:
        with pytest.raises(MalformedManifest, match=re.escape(error.brief)):
            listed(text)
    else:
        assert listed(text) == expected


NAME = st.text("ab0+.-", max_size=4).map("a{}1".format)
PACKAGES = st.builds(
    Package,
    name=NAME,
    arch=st.sampled_from(["amd64", "i386", "all"]),
    version=st.text("1aZ.+~-", max_size=4).map("1:0{}".format),
    sha256=HEX,
    size=st.integers(0, 1 << 40),
    archive=st.sampled_from(["debian", "debian-security"]),
    path=st.text("a0_+~%:-", max_size=5).map("pool/x{}".format),
    essential=st.booleans(),
)
ARCHIVES = tuple(
    Archive(name=name, suite="bookworm", sha256="a" * 64, date=1, signed_by=("A" * 40,))
    for name in ("debian", "debian-security")
)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Draw a lock that agrees with itself."""
    package_lists = st.lists(PACKAGES, max_size=5, unique_by=lambda p: (p.name, p.arch)).map(tuple)
    suites = draw(st.lists(st.sampled_from(["bookworm", "trixie"]), unique=True))
    return Lock(
        environments=tuple(
            Environment(
                suite=suite,
                arch="amd64",
                distro="debian",
                request=tuple(draw(st.lists(NAME, max_size=3))),
                archives=draw(st.permutations(ARCHIVES).map(tuple)),
                packages=draw(package_lists),
                boot=tuple(p for p in draw(package_lists) if p.arch != "i386"),
                base=draw(st.sampled_from(["full", "minimal"])),
                foreign=("i386",),
            )
            for suite in suites
        ),
        images=draw(st.dictionaries(st.sampled_from(["a-b"]), st.just({"1": "f" * 64}))),
    )


@given(locks())
def test_a_lock_is_read_as_it_was_written(lock: Lock) -> None:
    data = write_lock(lock)
    found = read_lock(data, path="x.lock")
    expected = sorted(map(canonical, lock.environments), key=lambda e: e.label)
    assert found.environments == tuple(expected)
    assert found.images == lock.images
    assert write_lock(found) == data
    assert lock_digest(found) == lock_digest(lock)


@given(
    st.one_of(st.binary(max_size=100), st.text('{}[]",:1ea-\n \\u', max_size=40).map(str.encode))
)
def test_bytes_are_a_lock_or_refused(data: bytes) -> None:
    for whole in (data, b'{"format": 1, "images": {}, "environments": [' + data + b"]}"):
        try:
            read_lock(whole, path="x.lock")
        except DescriptorInvalid as error:
            well_said(error)
