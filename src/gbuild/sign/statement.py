"""The in-toto statement that gbuild wrote beside a report: what a signer should know of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gbuild.errors import UsageFailure
from gbuild.host.files import read_small
from gbuild.model.manifest import LARGEST, Report
from gbuild.sign.stages import built_entries

_DOUBTS = {
    "unproven-lock": "the packages of this build are listed by no signed archive "
    "(gbuild --unproven-lock): you vouch for them yourself",
    "accept-drift": "this was built with --accept-drift: its packages may not be those of its lock",
}


def statement(path: Path, report: Report) -> bytes:
    """Return the statement that gbuild wrote beside a report, if it is of that report.

    Raises:
        UsageFailure: there is none, or its subjects are not what the report lists.
    """
    if not path.is_file():
        raise UsageFailure(f"there is no statement {path}", hint="build again with gbuild")
    data = read_small(path, limit=LARGEST)
    if _subjects(_read(data, path), path) != _listed(report):
        raise UsageFailure(
            f"{path} states other files than the report lists", hint="build again with gbuild"
        )
    return data


def doubts(path: Path, report: Report) -> tuple[str, ...]:
    """Return, as sentences, what was waived in the run that made a report.

    The report itself has no place for it: all signers must have the same one. No statement of
    this report gives no doubts, as only the report must come from the machine that built.

    Raises:
        UsageFailure: the file is no statement.
    """
    if not path.is_file():
        return ()
    document = _read(read_small(path, limit=LARGEST), path)
    if _subjects(document, path) != _listed(report):
        return ()
    options = _under(document, "predicate", "buildDefinition", "externalParameters", "options")
    return tuple(text for option, text in _DOUBTS.items() if options.get(option) is True)


def _read(data: bytes, path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _no_statement(path) from error
    if not isinstance(document, Mapping):
        raise _no_statement(path)
    return document


def _subjects(document: Mapping[str, Any], path: Path) -> dict[str, str]:
    try:
        return {one["name"]: one["digest"]["sha256"] for one in document["subject"]}
    except (KeyError, TypeError) as error:
        raise _no_statement(path) from error


def _under(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        inner = document.get(key)
        document = inner if isinstance(inner, Mapping) else {}
    return document


def _listed(report: Report) -> dict[str, str]:
    return {entry.path: entry.digest for entry in built_entries(report)}


def _no_statement(path: Path) -> UsageFailure:
    return UsageFailure(f"{path} is no in-toto statement", hint="build again with gbuild")
