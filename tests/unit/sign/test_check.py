"""A report that does not fit is not signed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gbuild.errors import AnswerIsNo, UsageFailure
from gbuild.formats.manifest import write_manifest
from gbuild.model.descriptor import Descriptor
from gbuild.model.manifest import Entry, Report
from gbuild.sign.check import belongs, matches

DESCRIPTOR = Descriptor(
    source=b"name: hello\n",
    stem="hello",
    name="hello",
    suites=("bookworm",),
    architectures=("amd64",),
    script="true",
)
DIGEST = hashlib.sha256(DESCRIPTOR.source).hexdigest()


def report(files: dict[str, bytes], in_manifest: str = "") -> Report:
    entries = [Entry(path=p, digest=hashlib.sha256(d).hexdigest()) for p, d in files.items()]
    return Report(out_manifest=write_manifest(entries), in_manifest=in_manifest, base_manifests={})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out" / "src").mkdir(parents=True)
    (tmp_path / "out" / "a").write_bytes(b"one")
    (tmp_path / "out" / "src" / "b").write_bytes(b"two")
    return tmp_path / "out"


FILES = {"a": b"one", "src/b": b"two"}


def test_the_descriptor_that_was_built() -> None:
    belongs(report({}, f"{DIGEST}  hello-desc.yml\n"), DESCRIPTOR)


@pytest.mark.parametrize(
    "manifest",
    ["", f"{'0' * 64}  hello-desc.yml\n", f"{DIGEST}  other-desc.yml\n", f"{DIGEST}  hello.yml\n"],
)
def test_another_descriptor_is_refused(manifest: str) -> None:
    with pytest.raises(UsageFailure, match="another descriptor") as caught:
        belongs(report({}, manifest), DESCRIPTOR)
    assert any(DIGEST in line for line in caught.value.details)


def test_the_files_of_the_report(out: Path) -> None:
    matches(report(FILES), out)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda out: (out / "a").write_bytes(b"ONE"), "changed: a"),
        (lambda out: (out / "src" / "b").unlink(), "missing: src/b"),
        (lambda out: (out / "more").write_bytes(b""), "not in the report: more"),
    ],
)
def test_a_tampered_file_is_refused(out: Path, change: object, line: str) -> None:
    change(out)  # type: ignore[operator] # a table of lambdas
    with pytest.raises(AnswerIsNo) as caught:
        matches(report(FILES), out)
    assert caught.value.details == (line,)


def test_links_to_files_inside_count_as_in_the_manifest(out: Path) -> None:
    (out / "latest").symlink_to("a")
    matches(report({**FILES, "latest": b"one"}), out)


def test_links_that_lead_out_do_not_stand_for_a_file(out: Path) -> None:
    (out.parent / "secret").write_bytes(b"one")
    (out / "latest").symlink_to("../secret")
    with pytest.raises(AnswerIsNo) as caught:
        matches(report({**FILES, "latest": b"one"}), out)
    assert caught.value.details == ("missing: latest",)


def test_a_hundred_differences_are_not_all_shown(out: Path) -> None:
    with pytest.raises(AnswerIsNo) as caught:
        matches(report({f"{n:03}": b"" for n in range(100)}), out)
    assert len(caught.value.details) == 21
    assert caught.value.details[-1] == "and 82 more"


def test_without_the_files_there_is_a_way_to_say_so(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure) as caught:
        matches(report(FILES), tmp_path / "none")
    assert "--report-only" in (caught.value.hint or "")
