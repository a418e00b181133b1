"""The bytes of an assertion: the report, and what it is an assertion of."""

from __future__ import annotations

from dataclasses import replace

from gbuild.formats.report import write_report
from gbuild.model.manifest import Report


def assertion(report: Report, *, release: str, name: str, optionals: tuple[str, ...]) -> bytes:
    """Return the document to sign; the same report always gives the same bytes.

    ``optionals`` come from the descriptor; without any the key is there and empty, as Gitian
    wrote it.
    """
    return write_report(
        replace(report, release=release, name=name, type="build", optionals=optionals or None)
    )
