"""The in-toto statement that gbuild wrote beside a report: what a signer should know of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gbuild.errors import UsageFailure
from gbuild.host.files import read_small
from gbuild.model.manifest import LARGEST, Report
from gbuild.sign.stages import built_entries

_AGAIN = "build again with gbuild"
_DOUBTS = {
    "unproven-lock": "the packages of this build are listed by no signed archive "
    "(gbuild --unproven-lock): you vouch for them yourself",
    "accept-drift": "this was built with --accept-drift: its packages may not be those of its lock",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What lies where gbuild puts the statement, read once; ``data`` is empty when nothing does.

    ``fits`` says that its subjects are what the report lists.
    """

    path: Path
    data: bytes = b""
    document: Mapping[str, Any] = field(default_factory=dict)
    fits: bool = False

    @property
    def payload(self) -> bytes:
        """Return the statement as it stands, to be signed.

        Raises:
            UsageFailure: there is none, or it is of another report.
        """
        if not self.data:
            raise UsageFailure(f"there is no statement {self.path}", hint=_AGAIN)
        if not self.fits:
            raise UsageFailure(f"{self.path} states other files than the report lists", hint=_AGAIN)
        return self.data

    @property
    def doubts(self) -> tuple[str, ...]:
        """Return, as sentences, what was waived in the run that made the report.

        The report itself has no place for it: all signers must have the same one. No statement
        of this report gives no doubts, as only the report must come from the machine that built.
        """
        if not self.fits:
            return ()
        keys = "predicate", "buildDefinition", "externalParameters", "options"
        options = _under(self.document, *keys)
        return tuple(text for option, text in _DOUBTS.items() if options.get(option) is True)


def read_statement(path: Path, report: Report) -> Statement:
    """Read what gbuild wrote beside a report, if it did.

    Raises:
        UsageFailure: the file is no statement.
    """
    if not path.is_file():
        return Statement(path)
    data = read_small(path, limit=LARGEST)
    document = _read(data, path)
    return Statement(path, data, document, _subjects(document, path) == _listed(report))


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
    return UsageFailure(f"{path} is no in-toto statement", hint=_AGAIN)
