"""gpg's words for machines, as GnuPG 2.2.40 wrote them."""

from __future__ import annotations

import pytest

from gbuild.formats.gpgstatus import Key, read_keys, read_signatures, speaks_for_all
from gbuild.model.verdict import Signature, Status

ALICE = "A" * 40
SUBKEY = "B" * 40
LISTING = f"""\
tru::1:1795252480:0:3:1:5
pub:u:1024:17:{ALICE[-16:]}:1577836800:1609372800::u:::scSC::::::23::0:
fpr:::::::::{ALICE}:
uid:u::::1795252479::11D72C42::Al\\x3ace <a@example.org>::::::::::0:
uid:r::::1795252479::11D72C42::Caf\\xc3\\xa9::::::::::0:
sub:r:255:22:{SUBKEY[-16:]}:1795252479::::::s:::::ed25519::
fpr:::::::::{SUBKEY}:
"""


def key(fingerprint: str, *, primary: str | None = None, validity: str = "u") -> Key:
    return Key(
        fingerprint=fingerprint,
        primary=primary or fingerprint,
        validity=validity,
        algorithm="EdDSA",
        bits=255,
        capabilities="sc",
    )


def valid(own: str = ALICE, primary: str = ALICE, *, algorithm: int = 22, digest: int = 8) -> str:
    return f"[GNUPG:] VALIDSIG {own} 2026-11-21 1795252479 0 4 0 {algorithm} {digest} 00 {primary}"


def status_of(*lines: str, keys: tuple[Key, ...] = (key(ALICE),)) -> Signature:
    known = {each.fingerprint: each for each in keys}
    (signature,) = read_signatures(["[GNUPG:] NEWSIG", *lines], known)
    return signature


def test_a_listing_has_primary_and_subkeys() -> None:
    alice, sub = read_keys(LISTING)
    assert alice.fingerprint == alice.primary == ALICE
    assert alice.user_ids == ("Al:ce <a@example.org>", "Café")
    assert alice.weakness == "DSA-1024"
    assert alice.expires == 1609372800
    assert (sub.fingerprint, sub.primary, sub.validity) == (SUBKEY, ALICE, "r")
    assert not alice.secret


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x1e", "\x0b"])
def test_a_user_id_cannot_forge_a_record(separator: str) -> None:
    forged = f"{separator}sub:u:255:22:X:1::::::s:::::ed25519::{separator}fpr:::::::::{'D' * 40}:"
    assert len(read_keys(LISTING.replace("Caf", f"Caf{forged}"))) == 2


@pytest.mark.parametrize(
    ("token", "secret"), [("+", True), ("#", False), ("D2760001240102010006", True)]
)
def test_a_secret_key_may_be_a_stub_or_on_a_card(token: str, secret: bool) -> None:
    listing = (
        f"sec:u:255:22:{ALICE[-16:]}:1::::::scSC:::{token}::ed25519:::0:\nfpr:::::::::{ALICE}:\n"
    )
    assert [each.secret for each in read_keys(listing)] == [secret]


@pytest.mark.parametrize(
    ("keyword", "status"),
    [
        ("GOODSIG", Status.GOOD),
        ("EXPSIG", Status.EXPIRED_SIGNATURE),
        ("EXPKEYSIG", Status.EXPIRED_KEY),
        ("REVKEYSIG", Status.REVOKED_KEY),
    ],
)
def test_each_keyword_has_its_status(keyword: str, status: Status) -> None:
    signature = status_of(f"[GNUPG:] {keyword} {ALICE[-16:]} Al%25ice <a@x>", valid())
    assert signature.status is status
    assert signature.fingerprint == ALICE
    assert signature.user_id == "Al%ice <a@x>"
    assert signature.created == 1795252479
    assert signature.weaknesses == ()


def test_a_bad_signature_names_its_claimed_key_and_no_fingerprint() -> None:
    signature = status_of(f"[GNUPG:] BADSIG {ALICE[-16:]} Alice")
    assert (signature.status, signature.fingerprint) == (Status.BAD, None)
    assert signature.key_id == ALICE[-16:]


@pytest.mark.parametrize("keyword", ["GOODSIG", "EXPKEYSIG", "EXPSIG"])
@pytest.mark.parametrize(
    "keys",
    [
        (key(ALICE, validity="r"), key(SUBKEY, primary=ALICE)),
        (key(ALICE), key(SUBKEY, primary=ALICE, validity="r")),
    ],
)
def test_revocation_is_seen_behind_whatever_gpg_says_first(
    keyword: str, keys: tuple[Key, ...]
) -> None:
    line = f"[GNUPG:] {keyword} {SUBKEY[-16:]} Alice"
    assert status_of(line, valid(SUBKEY, ALICE), keys=keys).status is Status.REVOKED_KEY


def test_a_subkey_speaks_for_its_primary() -> None:
    signature = status_of(f"[GNUPG:] GOODSIG {SUBKEY[-16:]} Alice", valid(SUBKEY, ALICE))
    assert (signature.fingerprint, signature.key_id) == (ALICE, SUBKEY)


def test_good_without_a_valid_line_is_not_good() -> None:
    assert status_of(f"[GNUPG:] GOODSIG {ALICE[-16:]} Alice").status is Status.UNREADABLE


def test_weak_digest_and_weak_key_are_both_named() -> None:
    (weak, _) = read_keys(LISTING)
    signature = status_of(
        f"[GNUPG:] GOODSIG {ALICE[-16:]} Alice", valid(algorithm=17, digest=2), keys=(weak,)
    )
    assert signature.weaknesses == ("SHA1", "DSA-1024")
    assert (signature.algorithm, signature.digest) == ("DSA", "SHA1")


@pytest.mark.parametrize(
    ("reason", "digest", "status"),
    [
        ("9", "8", Status.UNKNOWN_KEY),
        ("5", "1", Status.WEAK),
        ("5", "0", Status.UNREADABLE),
        ("4", "8", Status.UNREADABLE),
        ("1", "8", Status.UNREADABLE),
    ],
)
def test_what_gpg_could_not_check(reason: str, digest: str, status: Status) -> None:
    signature = status_of(
        f"[GNUPG:] ERRSIG {ALICE[-16:]} 1 {digest} 00 1795252479 {reason} {ALICE}",
        f"[GNUPG:] NO_PUBKEY {ALICE[-16:]}",
    )
    assert (signature.status, signature.key_id) == (status, ALICE)
    assert signature.fingerprint is None


def test_user_ids_cannot_forge_a_status_line() -> None:
    signature = status_of(f"[GNUPG:] BADSIG {ALICE[-16:]} x%0A[GNUPG:] GOODSIG {ALICE} y")
    assert signature.status is Status.BAD
    assert signature.user_id == f"x\n[GNUPG:] GOODSIG {ALICE} y"


def test_lines_before_the_first_signature_and_foreign_lines_are_skipped() -> None:
    assert (
        read_signatures(["", "hello", "[GNUPG:] FAILURE verify 1", "[GNUPG:] NODATA 4"], {}) == ()
    )


GOOD = Signature(status=Status.GOOD)
WEAK = Signature(status=Status.GOOD, weaknesses=("SHA1",))
UNKNOWN = Signature(status=Status.UNKNOWN_KEY)
BAD = Signature(status=Status.BAD)


@pytest.mark.parametrize(
    ("signatures", "speaker"),
    [
        ((GOOD, UNKNOWN), GOOD),
        ((UNKNOWN, GOOD), GOOD),
        ((WEAK, GOOD), GOOD),
        ((GOOD, BAD), BAD),
        ((BAD, GOOD, UNKNOWN), BAD),
        ((UNKNOWN,), UNKNOWN),
    ],
)
def test_one_bad_signature_spoils_a_file_else_the_best_one_speaks(
    signatures: tuple[Signature, ...], speaker: Signature
) -> None:
    assert speaks_for_all(signatures) == speaker


def test_no_signature_at_all_is_unreadable() -> None:
    assert speaks_for_all(()).status is Status.UNREADABLE
