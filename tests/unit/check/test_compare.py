"""Folders, reports and signers are compared, and what went in explains what came out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.check.compare import because, compare, compare_reports, compare_signers
from gbuild.errors import UsageFailure
from gbuild.formats.report import write_report
from gbuild.model.comparison import Presence
from gbuild.model.manifest import Report

SHA = [f"{digit}" * 64 for digit in "0123456789"]
COMMITS = ["git:" + "a" * 40, "git:" + "b" * 40]


def report(**changes: str) -> Report:
    base = changes.pop("base", f"{SHA[1]}  gcc_12.2.0-14_amd64.deb\n{SHA[2]}  tar_1.34_amd64.deb\n")
    plain = Report(
        out_manifest=f"{SHA[0]}  prog\n",
        in_manifest=f"{SHA[3]}  prog-desc.yml\n{SHA[4]}  a.tar\n{COMMITS[0]} lib",
        base_manifests={"bookworm-amd64": base},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_folders(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side / "sub").mkdir(parents=True)
        (tmp_path / side / "same").write_text("x")
        (tmp_path / side / "sub" / side).write_text("only here")
        (tmp_path / side / "when").write_text(
            f"2026-11-21 12:00:0{len(side + side * (side == 'b'))}"
        )
        (tmp_path / side / "link").symlink_to(side)
    found = compare(tmp_path / "a", tmp_path / "b")
    states = {artifact.path: artifact.presence for artifact in found.artifacts}
    assert states == {
        "link": Presence.DIFFERS,
        "same": Presence.SAME,
        "sub/a": Presence.ONLY_A,
        "sub/b": Presence.ONLY_B,
        "when": Presence.DIFFERS,
    }
    assert [t.cause for a in found.artifacts for t in a.traces] == ["timestamp"]
    assert not found.same
    assert because(found) == ()


def test_a_folder_and_a_file_cannot_be_compared(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(UsageFailure, match="is a folder and"):
        compare(tmp_path, tmp_path / "f")
    with pytest.raises(UsageFailure, match="neither"):
        compare(tmp_path / "f", tmp_path / "missing")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ("inputs and packages are the same: the build is not reproducible (gcheck)",)),
        (
            {"in_manifest": f"{SHA[9]}  prog-desc.yml\n{SHA[4]}  a.tar\n{COMMITS[0]} lib"},
            ("another descriptor",),
        ),
        (
            {"in_manifest": f"{SHA[3]}  prog-desc.yml\n{SHA[9]}  a.tar\n{COMMITS[1]} lib"},
            ("another commit of lib", "another input file a.tar"),
        ),
        (
            {"base": f"{SHA[5]}  gcc_12.10.0-1_amd64.deb\n{SHA[2]}  tar_1.34~rc1_amd64.deb\n"},
            ("1 package newer for alice", "1 package newer for bob"),
        ),
        (
            {"base": f"{SHA[9]}  gcc_12.2.0-14_amd64.deb\n"},
            ("2 packages that only one has, or with other bytes",),
        ),
    ],
)
def test_what_went_in_explains(changes: dict[str, str], said: tuple[str, ...]) -> None:
    other = report(**changes, out_manifest=f"{SHA[8]}  prog\n")
    found = compare_reports("alice", report(), "bob", other)
    assert because(found) == said
    assert not found.same


def test_signers_of_a_release(tmp_path: Path) -> None:
    for signer, out in (("alice", SHA[0]), ("bob", SHA[7])):
        folder = tmp_path / "1.0" / signer
        folder.mkdir(parents=True)
        signed = replace(report(), out_manifest=f"{out}  prog\n", release="1.0", name="prog")
        (folder / "prog-build.assert").write_bytes(write_report(signed))
    found = compare_signers(tmp_path, "1.0", ("alice", "bob"))
    assert (found.a, found.b, found.same) == ("alice", "bob", False)
    assert compare_signers(tmp_path, "1.0", ("bob", "bob")).same
    with pytest.raises(UsageFailure, match="carol has no document") as caught:
        compare_signers(tmp_path, "1.0", ("alice", "carol"))
    assert caught.value.details == ("who has: alice, bob",)
    with pytest.raises(UsageFailure):
        compare_signers(tmp_path, "2.0", ("alice", "bob"))
    (tmp_path / "sigs").mkdir()
    (tmp_path / "1.0").rename(tmp_path / "sigs" / "1.0")
    assert not compare_signers(tmp_path, "1.0", ("alice", "bob")).same, "below a package's name"
