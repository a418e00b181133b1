"""What a person reads of a verdict."""

from __future__ import annotations

import pytest

from gbuild.cli.gverify import exit_code
from gbuild.model.verdict import Claim, ReleaseVerdict, Signature, Status
from gbuild.ui.matrix import text
from gbuild.verify.judge import judge
from gbuild.verify.policy import default_policy

ONE, TWO = "1" * 64, "2" * 64


def claim(signer: str, artifacts: dict[str, str], status: Status = Status.GOOD) -> Claim:
    good = status in {Status.GOOD, Status.WEAK}
    return Claim(
        signer=signer,
        release="1.0",
        name="hello",
        status=status,
        signature=Signature(
            status=Status.GOOD if good else status,
            fingerprint=f"F of {signer}" if good else None,
            key_id=f"K of {signer}",
            user_id=f"{signer} <{signer}@example.org>" if good else None,
            created=1_700_000_000,
            digest="SHA1" if status is Status.WEAK else "SHA256",
            algorithm="RSA",
            weaknesses=("SHA1",) if status is Status.WEAK else (),
        ),
        artifacts=artifacts,
    )


def verdict(*claims: Claim) -> ReleaseVerdict:
    return judge("1.0", "hello", claims, policy=default_policy())


AGREE = verdict(claim("alice", {"a": ONE}), claim("bob", {"a": ONE}))
MISMATCH = verdict(claim("alice", {"a": ONE, "b": ONE}), claim("bob", {"a": TWO}))
UNTRUSTED = verdict(claim("alice", {"a": ONE}, Status.BAD))


def test_a_release_that_is_good_is_short() -> None:
    assert text(AGREE, verbose=False, markup=False) == (
        "hello 1.0\n"
        "\n"
        "   signer  signature  artefacts\n"
        "1  alice   good       1 agree    alice <alice@example.org>\n"
        "2  bob     good       1 agree    bob <bob@example.org>\n"
        "\n"
        "GOOD: everybody who counts signed the same files (2 persons counted)"
    )


def test_a_mismatch_shows_the_matrix_and_the_reasons() -> None:
    shown = text(MISMATCH, verbose=False, markup=False)
    assert "artefact  1  2\na         X  X\nb         +\n" in shown
    assert "X  differs" in shown
    assert shown.endswith(
        "MISMATCH: different files were signed (2 persons counted)\n"
        "  a: 2 different files were signed"
    )


def test_verbose_shows_keys_dates_and_digests() -> None:
    shown = text(AGREE, verbose=True, markup=False)
    for words in ("F of alice", "2023-11-14 22:13:20 UTC", "RSA with SHA256", f"{ONE}  a"):
        assert words in shown


def test_an_unknown_key_is_named() -> None:
    shown = text(verdict(claim("eve", {"a": ONE}, Status.UNKNOWN_KEY)), verbose=False, markup=False)
    assert "no public key K of eve" in shown


def test_what_is_not_counted_says_so() -> None:
    shown = text(verdict(claim("eve", {"a": ONE}, Status.WEAK)), verbose=False, markup=False)
    assert "the signature is too weak (SHA1); not counted" in shown


def test_colour_only_when_asked_for() -> None:
    assert "\x1b" not in text(MISMATCH, verbose=True, markup=False)
    assert "\x1b[1;31mMISMATCH" in text(MISMATCH, verbose=False, markup=True)
    assert "\x1b[1;32mGOOD" in text(AGREE, verbose=False, markup=True)


def test_names_cannot_drive_the_terminal_or_break_the_table() -> None:
    evil = "a\x1b[2J\n2  mallory  good\u202e"
    shown = text(verdict(claim(evil, {evil: ONE})), verbose=True, markup=False)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert text(verdict(), verbose=False, markup=False).startswith("hello 1.0\n\nUNTRUSTED")


def test_many_reasons_are_cut() -> None:
    many = {f"{n:03}": ONE for n in range(30)}
    other = dict.fromkeys(many, TWO)
    shown = text(verdict(claim("alice", many), claim("bob", other)), verbose=False, markup=False)
    assert shown.endswith("and 10 more")


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([AGREE], 0),
        ([AGREE, MISMATCH], 1),
        ([MISMATCH, UNTRUSTED, AGREE], 8),
    ],
)
def test_the_exit_code_is_that_of_the_worst(verdicts: list[ReleaseVerdict], code: int) -> None:
    assert exit_code(verdicts) == code
