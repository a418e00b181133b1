"""Every assertion of two real signature trees, where they are at hand.

GBUILD_CORPUS names a folder with litecoin.tar.xz and monero.tar.xz, or the folder they were
extracted to; without it ../shared/corpus beside the repository is tried.
"""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.formats.manifest import ordered, read_in_manifest, read_manifest, write_manifest
from gbuild.formats.report import read_report, write_report
from gbuild.model.manifest import Report

NEAR = Path(__file__).parents[3].parent / "shared" / "corpus"
CORPUS = Path(os.environ.get("GBUILD_CORPUS", NEAR))
pytestmark = pytest.mark.slow

Assertions = dict[str, bytes]


def _archived(folder: Path) -> Iterator[tuple[str, bytes]]:
    for archive in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith(".assert"):
                    stream = tar.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()


@pytest.fixture(scope="module")
def assertions() -> Assertions:
    """Return name and bytes of every assertion."""
    found = dict(_archived(CORPUS))
    found |= {str(path): path.read_bytes() for path in sorted(CORPUS.rglob("*.assert"))}
    if not found:
        pytest.skip("no real assertions at hand (GBUILD_CORPUS)")
    return found


@pytest.fixture(scope="module")
def reports(assertions: Assertions) -> dict[str, Report]:
    """Read every assertion."""
    return {name: read_report(data) for name, data in assertions.items()}


def test_every_assertion_is_read_and_keeps_its_meaning(reports: dict[str, Report]) -> None:
    for name, report in reports.items():
        assert report.out_manifest, name
        assert not report.extra, name
        assert read_report(write_report(report)) == report, name


def test_the_manifests_are_lists_of_files_in_our_order(reports: dict[str, Report]) -> None:
    for name, report in reports.items():
        caches = (report.cache_common_manifest, report.cache_package_manifest)
        for text in (report.out_manifest, *caches):
            assert write_manifest(read_manifest(text)) == text, name
        inputs = read_in_manifest(report.in_manifest)
        assert inputs[0].path.endswith("-desc.yml"), name


def test_most_base_manifests_have_our_order(reports: dict[str, Report]) -> None:
    orders = Counter(
        ordered(entries) == entries
        for report in reports.values()
        for entries in map(read_manifest, report.base_manifests.values())
    )
    assert orders[True] > 6 * orders[False]


def test_what_newer_rubies_wrote_is_our_spelling(
    assertions: Assertions, reports: dict[str, Report]
) -> None:
    """Older libyaml left a space after ``optionals:`` and a closing quote in column 1."""
    same = 0
    for name, data in assertions.items():
        if data.startswith(b"--- !!omap\n"):
            modern = data.replace(b"- optionals: \n", b"- optionals:\n").replace(
                b"\n'\n", b"\n    '\n"
            )
            written = write_report(reports[name])
            assert written == modern or b"\n    '\n" in modern, name
            same += written == modern
    assert same > 1500
