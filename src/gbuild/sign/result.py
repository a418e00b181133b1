"""The report that a build left in a workspace, checked before anybody signs it."""

from __future__ import annotations

from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.formats.report import read_report
from gbuild.model.descriptor import Descriptor
from gbuild.model.manifest import LARGEST, Report
from gbuild.sign.check import belongs, matches


def built(
    workspace: Path, name: str, *, descriptor: Descriptor | None, check_files: bool
) -> Report:
    """Return the report of a build.

    Args:
        workspace: the folder with ``result/`` and ``build/``.
        name: the build's name.
        descriptor: what it must have been made from, when that is known.
        check_files: hold it against ``build/out`` too.

    Raises:
        UsageFailure: there is no such report, or it is of another descriptor.
        AnswerIsNo: the files are not those of the report.
    """
    path = workspace / "result" / f"{name}-res.yml"
    if not path.is_file():
        raise UsageFailure(f"there is no report {path}", hint="build first with gbuild")
    if path.stat().st_size > LARGEST:
        raise UsageFailure(f"{path} is larger than any report")
    report = read_report(path.read_bytes())
    if report.type is not None or report.release is not None:
        raise UsageFailure(f"{path} is an assertion, not the report of a build")
    if descriptor is not None:
        belongs(report, descriptor)
    if check_files:
        matches(report, workspace / "build" / "out")
    return report
