"""Refuse to sign a report that does not fit its descriptor or the files at hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gbuild.errors import AnswerIsNo, UsageFailure
from gbuild.formats.manifest import read_in_manifest, read_manifest
from gbuild.host.files import sha256_of
from gbuild.model.descriptor import Descriptor
from gbuild.model.manifest import Report

_SHOWN = 20


def belongs(report: Report, descriptor: Descriptor) -> None:
    """Check that the report was made from exactly this descriptor.

    Raises:
        UsageFailure: its in_manifest names another descriptor.
    """
    line = f"{descriptor.name}-desc.yml"
    recorded = {e.path: e.digest for e in read_in_manifest(report.in_manifest)}.get(line)
    actual = hashlib.sha256(descriptor.source).hexdigest()
    if recorded != actual:
        raise UsageFailure(
            f"the report of {descriptor.name} was made from another descriptor",
            details=(f"the report says {recorded or 'nothing'}", f"the descriptor is {actual}"),
            hint="build it again with gbuild, or give the descriptor that was built",
        )


def matches(report: Report, out: Path) -> None:
    """Check that ``out`` holds exactly the files that the report lists, byte for byte.

    Raises:
        AnswerIsNo: a file differs, is missing, or is there and not listed.
        UsageFailure: there is no such folder.
    """
    if not out.is_dir():
        raise UsageFailure(
            f"the files of the report are not in {out}",
            hint="build first, or sign the report alone with --report-only",
        )
    listed = {entry.path: entry.digest for entry in read_manifest(report.out_manifest)}
    wrong = tuple(_differences(listed, out))
    if wrong:
        more = len(wrong) - _SHOWN
        raise AnswerIsNo(
            f"the report does not match {out}",
            details=(*wrong[:_SHOWN], *((f"and {more} more",) if more > 0 else ())),
            hint="build it again with gbuild",
        )


def _differences(listed: Mapping[str, str], out: Path) -> Iterator[str]:
    present = set(_files(out))
    for path in sorted(present | set(listed)):
        if path not in present:
            yield f"missing: {path}"
        elif path not in listed:
            yield f"not in the report: {path}"
        elif sha256_of(out / path) != listed[path]:
            yield f"changed: {path}"


def _files(out: Path) -> Iterator[str]:
    """Yield every file below ``out`` as a manifest names it (links to files inside count)."""
    top = out.resolve()
    for here, _folders, files in os.walk(out):
        for file in files:
            path = Path(here, file)
            inside = path.resolve()
            if inside.is_file() and inside.is_relative_to(top):
                yield path.relative_to(out).as_posix()
