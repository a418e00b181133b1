"""From the bytes of an entry to a claim: what the document says, and who vouches for it."""

from __future__ import annotations

from collections.abc import Callable

from gbuild.errors import GbuildError
from gbuild.formats import openpgp
from gbuild.formats.manifest import MalformedManifest, read_manifest
from gbuild.formats.report import Unreadable, read_report
from gbuild.model.manifest import Report
from gbuild.model.verdict import Claim, Signature, Status, worst
from gbuild.verify import said
from gbuild.verify.read import Found

Check = Callable[[bytes, bytes], Signature]
"""Checks detached signature packets over a document's original bytes."""


def claim(found: Found, *, release: str, check: Check) -> Claim:
    """Read one entry and have its signature checked.

    Every finding is kept; the entry's status is the first of them in the precedence that
    :class:`~gbuild.model.verdict.Status` documents.
    """
    name = found.name or ""
    if found.problem is not None:
        return Claim(
            signer=found.signer,
            release=release,
            name=name,
            status=Status.UNREADABLE,
            problem=found.problem,
        )
    signature = _signature(found, check)
    report, artifacts, problem = _document(found.assertion)
    stated = _wrong_name(report, release, name) if report else None
    statuses = (
        *_missing(found),
        *((Status.UNREADABLE,) if problem and found.assertion is not None else ()),
        *((Status.WRONG_NAME,) if stated else ()),
        *_worth(signature),
    )
    return Claim(
        signer=found.signer,
        release=release,
        name=name,
        status=worst(statuses),
        findings=statuses,
        signature=signature,
        artifacts=artifacts,
        stated_release=report.release if report else None,
        stated_name=report.name if report else None,
        inputs=said.inputs(report) if report else {},
        packages=report.base_manifests if report else {},
        record=said.record(report) if report else None,
        problem=problem or (signature.detail if signature else None) or stated,
    )


def _missing(found: Found) -> tuple[Status, ...]:
    if found.assertion is None:
        return (Status.MISSING_ASSERTION,)
    return (Status.MISSING_SIGNATURE,) if found.signature is None else ()


def _worth(signature: Signature | None) -> tuple[Status, ...]:
    if signature is None:
        return ()
    weak = signature.status is Status.GOOD and signature.weaknesses
    return (Status.WEAK,) if weak else (signature.status,)


def _signature(found: Found, check: Check) -> Signature | None:
    if found.assertion is None or found.signature is None:
        return None
    try:
        packets = openpgp.detached_signature(found.signature)
        return check(packets, found.assertion)
    except openpgp.NotDetached as error:
        return Signature(status=Status.NOT_DETACHED, detail=error.brief)
    except GbuildError as error:  # damaged, or gpg hung or is missing: nothing was proven
        return Signature(status=Status.UNREADABLE, detail=error.brief)


def _document(data: bytes | None) -> tuple[Report | None, dict[str, str] | None, str | None]:
    """Return the report, its artefacts by path, and what is wrong with it."""
    if data is None:
        return None, None, None
    try:
        report = read_report(data)
        return report, {e.path: e.digest for e in read_manifest(report.out_manifest)}, None
    except (Unreadable, MalformedManifest) as error:
        return None, None, "; ".join((error.brief, *error.details))


def _wrong_name(report: Report, release: str, name: str) -> str | None:
    """Say what the document calls itself when that is not where it lies: it may be a replay."""
    if report.release != release:
        return f"the document says release {report.release or '(none)'}"
    if report.name != name:
        return f"the document says name {report.name or '(none)'}"
    return None
