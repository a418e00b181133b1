"""Every status, made with real keys and a real gpg."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gbuild.formats.openpgp_keys import NotAKey, read_keys
from gbuild.formats.report import write_report
from gbuild.host import keyring
from gbuild.host.keyring import Keyring
from gbuild.model.manifest import Report
from gbuild.model.verdict import Outcome, ReleaseVerdict, Signature, Status
from gbuild.verify.keys import KeyFile, KeySource
from gbuild.verify.policy import default_policy
from gbuild.verify.release import Checker, fill, verify_release

from .people import Person

DIGEST = "1" * 64
REPORT = Report(
    out_manifest=f"{DIGEST}  a\n",
    in_manifest="",
    base_manifests={},
    release="1.0",
    name="hello",
    type="build",
)
DOCUMENT = write_report(REPORT)


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    return person()


def put(root: Path, signer: str, signature: bytes | None, document: bytes = DOCUMENT) -> None:
    folder = root / "1.0" / signer
    folder.mkdir(parents=True)
    (folder / "hello-build.assert").write_bytes(document)
    if signature is not None:
        (folder / "hello-build.assert.sig").write_bytes(signature)


def verify(root: Path, *keys: bytes, at: str | None = None, problems: int = 0) -> ReleaseVerdict:
    moment = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) if at else None
    files = []
    refused = []
    for number, key in enumerate(keys):
        try:
            files.append(KeyFile(label=f"{number}.asc", name=None, keys=read_keys(key)))
        except NotAKey as error:
            refused.append(error.brief)
    with Keyring(at=moment) as ring:
        refused += fill(ring, KeySource(files=tuple(files)))
        assert len(refused) == problems
        (verdict,) = verify_release(
            root, "1.0", name="hello", checker=Checker.of(ring), policy=default_policy()
        )
    return verdict


def only(verdict: ReleaseVerdict) -> tuple[Status, Signature]:
    (entry,) = verdict.signers
    assert entry.claim.signature is not None
    return entry.claim.status, entry.claim.signature


@pytest.mark.parametrize("algorithm", ["ed25519", "rsa2048", "nistp256"])
@pytest.mark.parametrize("form", [(), ("--armor",), ("--textmode",)])
def test_good(alice: Person, tmp_path: Path, algorithm: str, form: tuple[str, ...]) -> None:
    key = alice.make("Alice <alice@example.org>", algorithm)
    put(tmp_path, "alice", alice.sign(DOCUMENT, key, *form))
    verdict = verify(tmp_path, alice.export())
    status, signature = only(verdict)
    assert (status, verdict.outcome) == (Status.GOOD, Outcome.AGREE)
    assert (signature.fingerprint, signature.user_id) == (key, "Alice <alice@example.org>")
    assert signature.weaknesses == ()


def test_bad(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    signature = alice.sign(DOCUMENT, key)
    put(tmp_path, "alice", signature, DOCUMENT.replace(b"1111", b"2222", 1))
    verdict = verify(tmp_path, alice.export())
    assert (only(verdict)[0], verdict.outcome) == (Status.BAD, Outcome.UNTRUSTED)


def test_unknown_key(alice: Person, person: Callable[[], Person], tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    bob = person()
    bob.make("Bob <bob@example.org>")
    for keys in ((), (bob.export(),)):
        status, signature = only(verify(tmp_path, *keys))
        assert status is Status.UNKNOWN_KEY
        assert signature.key_id == key


def test_expired_key_and_the_same_one_before_it_expired(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>", expires="1y", at="20200101")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key, at="20200601"))
    now = verify(tmp_path, alice.export())
    assert (only(now)[0], now.outcome) == (Status.EXPIRED_KEY, Outcome.UNTRUSTED)
    then = verify(tmp_path, alice.export(), at="2020-07-01")
    assert (only(then)[0], then.outcome) == (Status.GOOD, Outcome.AGREE)


def test_an_extended_key_is_good_again(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>", expires="1y", at="20200101")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key, at="20200601"))
    old = alice.export()
    alice.gpg("--quick-set-expire", key, "never", at="20200701")
    assert only(verify(tmp_path, old))[0] is Status.EXPIRED_KEY
    assert only(verify(tmp_path, old, alice.export()))[0] is Status.GOOD
    assert only(verify(tmp_path, alice.export(), old))[0] is Status.GOOD


def test_expired_signature(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>", at="20200101")
    signature = alice.sign(DOCUMENT, key, "--default-sig-expire", "1d", at="20200601")
    put(tmp_path, "alice", signature)
    assert only(verify(tmp_path, alice.export()))[0] is Status.EXPIRED_SIGNATURE


def test_revoked_key(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    before = alice.export()
    alice.revoke(key)
    verdict = verify(tmp_path, alice.export())
    assert (only(verdict)[0], verdict.outcome) == (Status.REVOKED_KEY, Outcome.UNTRUSTED)
    again = verify(tmp_path, alice.export(), before)
    assert only(again)[0] is Status.REVOKED_KEY, "an older copy of the key undid the revocation"


def test_a_revoked_key_that_has_also_expired_is_called_revoked(
    alice: Person, tmp_path: Path
) -> None:
    key = alice.make("Alice <alice@example.org>", expires="1y", at="20200101")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key, at="20200601"))
    alice.revoke(key)
    assert only(verify(tmp_path, alice.export()))[0] is Status.REVOKED_KEY


def test_a_subkey_signs_and_is_revoked(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    alice.gpg("--quick-add-key", key, "ed25519", "sign", "never")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    status, signature = only(verify(tmp_path, alice.export()))
    assert (status, signature.fingerprint) == (Status.GOOD, key)
    assert signature.key_id not in {None, key}
    alice.gpg(
        "--command-fd", "0", "--no-batch", "--edit-key", key,
        stdin=b"key 1\nrevkey\ny\n0\n\ny\nsave\n",
    )  # fmt: skip
    status, signature = only(verify(tmp_path, alice.export()))
    assert status is Status.REVOKED_KEY


@pytest.mark.parametrize(("words", "weakness"), [(("--digest-algo", "SHA1"), "SHA1"), ((), None)])
def test_weak_digest(
    alice: Person, tmp_path: Path, words: tuple[str, ...], weakness: str | None
) -> None:
    key = alice.make("Alice <alice@example.org>", "rsa2048")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key, *words))
    status, signature = only(verify(tmp_path, alice.export()))
    assert status is (Status.WEAK if weakness else Status.GOOD)
    assert signature.status is Status.GOOD
    assert signature.weaknesses == ((weakness,) if weakness else ())


def test_weak_key(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>", "rsa1024")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    status, signature = only(verify(tmp_path, alice.export()))
    assert (status, signature.weaknesses) == (Status.WEAK, ("RSA-1024",))


def test_md5_is_refused_by_gpg_itself(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>", "rsa2048")
    words = ("--allow-weak-digest-algos", "--digest-algo", "MD5")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key, *words))
    verdict = verify(tmp_path, alice.export())
    assert (only(verdict)[0], verdict.outcome) == (Status.WEAK, Outcome.UNTRUSTED)


def test_not_detached(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    for signer, word in (("inline", "--sign"), ("clear", "--clear-sign")):
        put(tmp_path, signer, alice.gpg("--local-user", key, word, stdin=DOCUMENT))
    verdict = verify(tmp_path, alice.export())
    assert {entry.claim.status for entry in verdict.signers} == {Status.NOT_DETACHED}


def test_missing_and_unreadable(alice: Person, tmp_path: Path) -> None:
    alice.make("Alice <alice@example.org>")
    put(tmp_path, "none", None)
    put(tmp_path, "html", b"<html>404</html>")
    put(tmp_path, "lone", b"x")
    (tmp_path / "1.0" / "lone" / "hello-build.assert").unlink()
    statuses = [entry.claim.status for entry in verify(tmp_path, alice.export()).signers]
    assert statuses == [Status.UNREADABLE, Status.MISSING_ASSERTION, Status.MISSING_SIGNATURE]


def test_replay_of_an_older_release(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    old = write_report(replace(REPORT, release="0.9"))
    put(tmp_path, "alice", alice.sign(old, key), old)
    verdict = verify(tmp_path, alice.export())
    assert (only(verdict)[0], verdict.outcome) == (Status.WRONG_NAME, Outcome.UNTRUSTED)


def test_several_signatures_in_one_file(
    alice: Person, person: Callable[[], Person], tmp_path: Path
) -> None:
    first = alice.make("Alice <alice@example.org>")
    bob = person()
    second = bob.make("Bob <bob@example.org>")
    both = alice.sign(DOCUMENT, first) + bob.sign(DOCUMENT, second)
    put(tmp_path, "both", both)
    assert only(verify(tmp_path, alice.export(), bob.export()))[0] is Status.GOOD
    assert only(verify(tmp_path, bob.export()))[1].fingerprint == second
    put(tmp_path, "spoiled", alice.sign(DOCUMENT, first) + bob.sign(b"other", second))
    verdict = verify(tmp_path, alice.export(), bob.export())
    assert [e.claim.status for e in verdict.signers] == [Status.GOOD, Status.BAD]


def test_several_signers(alice: Person, person: Callable[[], Person], tmp_path: Path) -> None:
    bob = person()
    put(tmp_path, "alice", alice.sign(DOCUMENT, alice.make("Alice <alice@example.org>")))
    put(tmp_path, "bob", bob.sign(DOCUMENT, bob.make("Bob <bob@example.org>", "rsa2048")))
    verdict = verify(tmp_path, alice.export(), bob.export())
    assert (verdict.outcome, verdict.persons) == (Outcome.AGREE, 2)


def test_broken_key_files_are_named_and_the_others_used(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    good = alice.export()
    torn = re.sub(rb"\n=....\n", b"\n=AAAA\n", good)
    verdict = verify(tmp_path, b"rubbish", good, b"", problems=2)
    assert only(verdict)[0] is Status.GOOD
    assert only(verify(tmp_path, torn, problems=1))[0] is Status.UNKNOWN_KEY


def test_a_secret_key_in_a_key_file_is_of_no_use(alice: Person, tmp_path: Path) -> None:
    key = alice.make("Alice <alice@example.org>")
    secret = alice.gpg("--armor", "--export-secret-keys", key)
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    with Keyring() as ring:
        ring.add([secret])
        assert "sec:" not in ring.listing()


def test_nothing_is_left_of_the_temporary_keyring(alice: Person, tmp_path: Path) -> None:
    with Keyring() as ring:
        ring.add([alice.export(alice.make("Alice <alice@example.org>"))])
        home = ring._home
        assert not list(home.glob("S.*")), "an agent was started"
    assert not home.exists()


def test_a_key_file_that_keeps_gpg_busy_is_skipped(
    alice: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = alice.make("Alice <alice@example.org>")
    alice.gpg("--quick-add-key", key, "ed25519", "sign", "never")
    put(tmp_path, "alice", alice.sign(DOCUMENT, key))
    good = alice.export()
    monkeypatch.setattr(keyring, "_SECONDS", 5.0)
    monkeypatch.setattr(keyring, "_FILE_SECONDS", 3.0)
    verdict = verify(
        tmp_path, with_bogus_subkeys(alice.gpg("--export", key), 2000), good, problems=1
    )
    assert only(verdict)[0] is Status.GOOD


def with_bogus_subkeys(key: bytes, count: int) -> bytes:
    """Repeat the last subkey and its binding signature, with another public point each time."""
    packets = []
    position = 0
    while position < len(key):
        size = 2 + key[position + 1] if not key[position] & 1 else 3 + int.from_bytes(
            key[position + 1 : position + 3], "big"
        )  # fmt: skip
        packets.append(key[position : position + size])
        position += size
    *rest, subkey, binding = packets
    changed = (subkey[:-20] + os.urandom(20) + binding for _ in range(count))
    return b"".join([*rest, *changed])
