"""From files to a status: the precedence, and what is kept for the reader."""

from __future__ import annotations

import pytest

from gbuild.errors import TimedOut
from gbuild.formats.report import write_report
from gbuild.model.manifest import Report
from gbuild.model.verdict import Claim, Signature, Status, worst
from gbuild.verify.claim import claim
from gbuild.verify.read import Found

DIGEST = "1" * 64
PACKET = b"\x88\x04abcd"
GOOD = Signature(status=Status.GOOD, fingerprint="F" * 40)


def document(
    *, release: str | None = "1.0", name: str | None = "hello", out: str = f"{DIGEST}  a\n"
) -> bytes:
    report = Report(
        out_manifest=out,
        in_manifest="",
        base_manifests={},
        release=release,
        name=name,
        type="build",
    )
    return write_report(report)


def judged(
    assertion: bytes | None,
    signature: bytes | None = PACKET,
    result: Signature = GOOD,
    problem: str | None = None,
) -> Claim:
    found = Found(
        signer="alice", name="hello", assertion=assertion, signature=signature, problem=problem
    )
    return claim(found, release="1.0", check=lambda _packets, _document: result)


def test_a_good_entry() -> None:
    found = judged(document())
    assert (found.status, found.artifacts, found.problem) == (Status.GOOD, {"a": DIGEST}, None)
    assert found.fingerprint == "F" * 40


def test_gpg_gets_the_original_bytes() -> None:
    data = document() + b"# a comment that no writer of ours makes\n"
    seen: list[tuple[bytes, bytes]] = []

    def check(packets: bytes, bytes_: bytes) -> Signature:
        seen.append((packets, bytes_))
        return GOOD

    found = Found(signer="alice", name="hello", assertion=data, signature=PACKET)
    assert claim(found, release="1.0", check=check).status is Status.GOOD
    assert seen == [(PACKET, data)]


@pytest.mark.parametrize(
    ("assertion", "signature", "status"),
    [
        (None, PACKET, Status.MISSING_ASSERTION),
        (document(), None, Status.MISSING_SIGNATURE),
        (b"<!DOCTYPE html><html></html>", PACKET, Status.UNREADABLE),
        (b"", PACKET, Status.UNREADABLE),
        (b"\xff\xfe\x00", PACKET, Status.UNREADABLE),
        (b"--- !ruby/object:Gem::Installer\ni: x\n", PACKET, Status.UNREADABLE),
        (b"a: &a [x]\nb: *a\n", PACKET, Status.UNREADABLE),
        (document(out=f"{DIGEST}  a\n{'2' * 64}  a\n"), PACKET, Status.UNREADABLE),
        (document(out="nonsense"), PACKET, Status.UNREADABLE),
        (document(), b"\xa3\x01\x00", Status.NOT_DETACHED),
        (document(), b"rubbish", Status.UNREADABLE),
        (document(release="0.9"), PACKET, Status.WRONG_NAME),
        (document(release=None), PACKET, Status.WRONG_NAME),
        (document(name="other"), PACKET, Status.WRONG_NAME),
        (document(name=None), PACKET, Status.WRONG_NAME),
    ],
)
def test_what_is_wrong_has_its_status(
    assertion: bytes | None, signature: bytes | None, status: Status
) -> None:
    found = judged(assertion, signature)
    assert found.status is status
    assert (found.artifacts is None) == (status in {Status.MISSING_ASSERTION, Status.UNREADABLE}
                                         and signature != b"rubbish")  # fmt: skip


@pytest.mark.parametrize(
    "status",
    [
        Status.UNREADABLE,
        Status.BAD,
        Status.UNKNOWN_KEY,
        Status.REVOKED_KEY,
        Status.EXPIRED_KEY,
        Status.EXPIRED_SIGNATURE,
    ],
)
def test_a_signature_s_status_beats_a_wrong_name_and_weakness(status: Status) -> None:
    result = Signature(status=status, weaknesses=("SHA1",))
    assert judged(document(release="0.9"), result=result).status is status


def test_a_wrong_name_beats_weakness_and_weakness_beats_good() -> None:
    weak = Signature(status=Status.GOOD, weaknesses=("SHA1",))
    assert judged(document(), result=weak).status is Status.WEAK
    assert judged(document(release="0.9"), result=weak).status is Status.WRONG_NAME


def test_an_unsigned_document_is_still_compared() -> None:
    assert judged(document(), None).artifacts == {"a": DIGEST}


def test_a_refused_file_is_unreadable_with_its_reason() -> None:
    found = judged(None, None, problem="hello-build.assert is a symbolic link")
    assert (found.status, found.problem) == (
        Status.UNREADABLE,
        "hello-build.assert is a symbolic link",
    )


def test_a_gpg_that_hangs_proves_nothing() -> None:
    def hangs(_packets: bytes, _document: bytes) -> Signature:
        raise TimedOut("gpg took longer than 60 seconds")

    found = Found(signer="alice", name="hello", assertion=document(), signature=PACKET)
    result = claim(found, release="1.0", check=hangs)
    assert result.status is Status.UNREADABLE
    assert "60 seconds" in (result.problem or "")


def test_the_problem_says_what_the_document_calls_itself() -> None:
    assert judged(document(release="0.9")).problem == "the document says release 0.9"
    assert judged(document(name=None)).problem == "the document says name (none)"


def test_the_precedence_is_the_order_of_the_members() -> None:
    order = list(Status)
    for index, first in enumerate(order):
        for second in order[index:]:
            assert worst((second, first)) is first
