"""From the bytes of an entry to claims: what the document says, and who vouches for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gbuild.errors import GbuildError
from gbuild.formats import gpgstatus, openpgp
from gbuild.formats.artifacts import artifacts, listed
from gbuild.formats.manifest import MalformedManifest
from gbuild.formats.report import Unreadable, read_report
from gbuild.formats.sums import read_sums
from gbuild.model.manifest import Report
from gbuild.model.verdict import Bound, Claim, Evidence, Kind, Signature, Status, worst
from gbuild.verify import said
from gbuild.verify.binding import Binding
from gbuild.verify.checker import Batches, Checker, Ticket
from gbuild.verify.read import Found
from gbuild.verify.stated import wrong_release

Check = Callable[[bytes, bytes], Signature]
"""Checks detached signature packets over a document's original bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry whose document has been read and whose signature gpg may still be checking."""

    found: Found
    release: str
    document: Document
    signature: Ticket | Signature | None
    evidence: Evidence | None = None

    def claims(self, binding: Binding) -> Iterator[Claim]:
        """Wait for gpg and yield the claim; one per signature when the file is nobody's own."""
        found = self.found
        checked = self.signature
        every = checked.signatures() if isinstance(checked, Ticket) else ()
        if found.signer or not every:
            alone = checked if isinstance(checked, Signature) else None
            chosen = _speaker(every, found.signer, binding) if every else alone
            if isinstance(checked, Ticket) and chosen is None:
                chosen = gpgstatus.speaks_for_all(())
            yield self._claim(found.signer or "(nobody)", chosen, binding)
            return
        for signature in every:
            name = binding.person(signature.fingerprint)
            yield self._claim(name or signature.key_id or "(nobody)", signature, binding)

    def _claim(self, signer: str, signature: Signature | None, binding: Binding) -> Claim:
        found, document = self.found, self.document
        bound = _bound(signer, signature, binding)
        person = binding.person(signature.fingerprint) if signature else None
        foreign = _foreign(bound, signer, person)
        wrong = foreign or document.wrong_name
        statuses = (
            *_missing(found),
            *((Status.UNREADABLE,) if document.problem else ()),
            *((Status.WRONG_NAME,) if wrong else ()),
            *_worth(signature),
        )
        return replace(
            document.claim,
            signer=signer,
            status=worst(statuses),
            findings=statuses,
            signature=signature,
            problem=document.problem or (signature.detail if signature else None) or wrong,
            person=person,
            circle=binding.circle(signature.fingerprint) if signature else None,
            evidence=self.evidence,
            bound=bound,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a document says, as a claim that still lacks its signature.

    ``problem`` is why it cannot be read, ``wrong_name`` why it belongs elsewhere.
    """

    claim: Claim
    problem: str | None = None
    wrong_name: str | None = None


def draft(found: Found, *, release: str, checker: Checker, queue: Batches) -> Draft:
    """Read an entry's document and have its signature checked along with others."""
    signature = _detached(found, queue)
    if found.assertion is None and found.signature is not None:
        found, signature = _inline(found, checker)
    return Draft(
        found=found,
        release=release,
        document=_document(found, release),
        signature=signature,
        evidence=_evidence(found, checker),
    )


def claim(found: Found, *, release: str, check: Check) -> Claim:
    """Read one entry and have its detached signature checked by a function of the caller's.

    Every finding is kept; the entry's status is the first of them in the precedence that
    :class:`~gbuild.model.verdict.Status` documents.
    """
    signature = None
    if found.assertion is not None and found.signature is not None:
        signature = _told(check, _packets(found.signature), found.assertion)
    drafted = Draft(
        found=found, release=release, document=_document(found, release), signature=signature
    )
    (made,) = drafted.claims(Binding())
    return made


def _told(check: Check, packets: bytes | Signature, document: bytes) -> Signature:
    if isinstance(packets, Signature):
        return packets
    try:
        return check(packets, document)
    except GbuildError as error:  # gpg hung or is missing: nothing was proven
        return Signature(status=Status.UNREADABLE, detail=error.brief)


def _packets(signature: bytes) -> bytes | Signature:
    """Return the packets of a detached signature, or what is wrong with it."""
    try:
        return openpgp.detached_signature(signature)
    except openpgp.NotDetached as error:
        return Signature(status=Status.NOT_DETACHED, detail=error.brief)
    except openpgp.NotASignature as error:
        return Signature(status=Status.UNREADABLE, detail=error.brief)


def _detached(found: Found, queue: Batches) -> Ticket | Signature | None:
    if found.assertion is None or found.signature is None:
        return None
    packets = _packets(found.signature)
    return packets if isinstance(packets, Signature) else queue.add(packets, found.assertion)


def _inline(found: Found, checker: Checker) -> tuple[Found, Signature | None]:
    """Take document and signature out of a signed message; a lone signature stays one."""
    message = found.signature or b""
    if not openpgp.is_signed_message(message):
        return found, None
    content, signature = checker.open_message(message)
    notes = (*found.notes, "the document is the content of a signed message")
    return replace(found, assertion=content, notes=notes), signature


def _speaker(every: Sequence[Signature], folder: str, binding: Binding) -> Signature:
    """Choose who speaks in a folder: a bad signature, else its owner's, else the best one."""
    own = [each for each in every if _bound(folder, each, binding) is Bound.OWN]
    bad = [each for each in every if each.status is Status.BAD]
    return gpgstatus.speaks_for_all(bad or own or every)


def _bound(folder: str, signature: Signature | None, binding: Binding) -> Bound:
    if signature is None or signature.fingerprint is None:
        return Bound.UNKNOWN
    return binding.bound(folder, signature.fingerprint)


def _foreign(bound: Bound, folder: str, person: str | None) -> str | None:
    if bound is not Bound.FOREIGN:
        return None
    whose = f"the key of {person}" if person else "a key that is nobody's"
    return f"{whose} signed in the folder of {folder}"


def _missing(found: Found) -> tuple[Status, ...]:
    if found.problem is not None:
        return ()
    if found.assertion is None:
        return (Status.MISSING_ASSERTION,)
    return (Status.MISSING_SIGNATURE,) if found.signature is None else ()


def _worth(signature: Signature | None) -> tuple[Status, ...]:
    if signature is None:
        return ()
    weak = signature.status is Status.GOOD and signature.weaknesses
    return (Status.WEAK,) if weak else (signature.status,)


def _evidence(found: Found, checker: Checker) -> Evidence | None:
    if checker.witness is None or found.signature is None:
        return None
    return checker.witness(found.signature, found.stamp)


def _document(found: Found, release: str) -> Document:
    """Read the document of an entry."""
    empty = Claim(
        signer=found.signer,
        release=release,
        name=found.name or "",
        status=Status.UNREADABLE,
        kind=found.kind,
        place=found.folder,
        notes=found.notes,
    )
    if found.problem is not None or found.assertion is None:
        return Document(claim=empty, problem=found.problem)
    try:
        read = _sums if found.kind is Kind.SUMS else _report
        return read(empty, found.assertion)
    except (Unreadable, MalformedManifest) as error:
        return Document(claim=empty, problem="; ".join((error.brief, *error.details)))


def _report(empty: Claim, data: bytes) -> Document:
    report = read_report(data)
    made = replace(
        empty,
        artifacts=listed(report.out_manifest),
        stated_release=report.release,
        stated_name=report.name,
        inputs=said.inputs(report),
        packages=report.base_manifests,
        record=said.record(report),
    )
    return Document(claim=made, wrong_name=_wrong_name(report, empty.release, empty.name))


def _sums(empty: Claim, data: bytes) -> Document:
    found = artifacts(read_sums(data))
    made = replace(empty, artifacts=found)
    return Document(claim=made, wrong_name=wrong_release(empty.release, found))


def _wrong_name(report: Report, release: str, name: str) -> str | None:
    """Say what the document calls itself when that is not where it lies: it may be a replay."""
    if report.release != release:
        return f"the document says release {report.release or '(none)'}"
    if report.name != name:
        return f"the document says name {report.name or '(none)'}"
    return None
