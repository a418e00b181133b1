"""What nobody may bring about by what they put into a tree, its keys, or a proposed change.

Keys and signatures are made by hand (:mod:`forge`) where no honest tool would make them; gpg
checks them as it checks all others. What needs a repository is in ``test_gsigs.py``.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.formats.report import write_report
from gbuild.host.keyring import Keyring
from gbuild.model.manifest import Report
from gbuild.model.policy import Anyone, Group, Member, Policy
from gbuild.model.policy import Person as Named
from gbuild.model.verdict import Evidence, Outcome, ReleaseVerdict, Status
from gbuild.verify import keys
from gbuild.verify.policy import default_policy
from gbuild.verify.release import Checker, fill, verify_release

from . import forge
from .forge import BEGAN, YEAR, Forger
from .people import Person, Workspace

SHA = "1" * 64
REPORT = Report(
    out_manifest=f"{SHA}  a.tar.gz\n",
    in_manifest="",
    base_manifests={},
    release="1.0",
    name="hello",
    type="build",
)
DOCUMENT = write_report(REPORT)


class Tree:
    """A tree of signatures with keys beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "builder-keys").mkdir(parents=True)
        (root / "1.0").mkdir()

    def key(self, name: str, data: bytes) -> None:
        (self.root / "builder-keys" / name).write_bytes(data)

    def person(self, name: str, forger: Forger | None = None, address: str = "") -> Forger:
        """Put a person's key where their name says that it is theirs."""
        made = forger or Forger()
        self.key(f"{name}.gpg", made.certificate(f"{name} <{address or name}@x>".encode()))
        return made

    def put(
        self, signer: str, signature: bytes | None, document: bytes = DOCUMENT, at: str = "1.0"
    ) -> Path:
        folder = self.root / at / signer
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "hello-build.assert"
        path.write_bytes(document)
        if signature is not None:
            path.with_name(f"{path.name}.sig").write_bytes(signature)
        return path

    def sums(self, signer: str, forger: Forger, text: bytes, at: str = "1.0") -> None:
        folder = self.root / at / signer
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "all.SHA256SUMS").write_bytes(text)
        (folder / "all.SHA256SUMS.asc").write_bytes(forger.signature(text))

    def judged(
        self,
        release: str = "1.0",
        policy: Policy | None = None,
        at: int | None = None,
        evidence: Evidence | None = None,
    ) -> ReleaseVerdict:
        source = keys.from_tree(self.root)
        with Keyring(at=at) as keyring:
            self.problems = (*source.problems, *fill(keyring, source))
            checker = Checker.of(keyring, source, witness=lambda _sig, _stamp: evidence)
            (verdict,) = verify_release(
                self.root,
                release,
                name=None,
                checker=checker,
                policy=policy or default_policy(),
                at=int(time.time()) if at is None else at,
            )
        return verdict


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def statuses(verdict: ReleaseVerdict) -> dict[str, Status]:
    return {entry.claim.signer: entry.claim.status for entry in verdict.signers}


def problem(verdict: ReleaseVerdict) -> str:
    (entry,) = verdict.signers
    return entry.claim.problem or ""


def test_what_is_right_passes(tree: Tree) -> None:
    """Without this, everything below could pass for a wrong reason."""
    alice, bob = tree.person("alice"), tree.person("bob")
    tree.put("alice", alice.signature(DOCUMENT))
    tree.put("bob", bob.signature(DOCUMENT))
    verdict = tree.judged(policy=default_policy(persons=2))
    assert (verdict.outcome, verdict.persons, tree.problems) == (Outcome.AGREE, 2, ())


def test_signing_in_the_folder_of_another(tree: Tree) -> None:
    tree.person("alice")
    mallory = tree.person("mallory")
    tree.put("alice", mallory.signature(DOCUMENT))
    verdict = tree.judged()
    assert (statuses(verdict), verdict.outcome) == (
        {"alice": Status.WRONG_NAME},
        Outcome.UNTRUSTED,
    )
    assert problem(verdict) == "the key of mallory signed in the folder of alice"


@pytest.mark.parametrize("folder", ["ALICE", "carol"])
def test_signing_in_a_folder_that_signers_yml_does_not_give(tree: Tree, folder: str) -> None:
    tree.person("alice")
    mallory = tree.person("mallory")
    (tree.root / "signers.yml").write_text(
        f"signers:\n  mallory: {{keys: [{mallory.fingerprint}]}}\n"
    )
    tree.put(folder, mallory.signature(DOCUMENT))
    assert statuses(tree.judged()) == {folder: Status.WRONG_NAME}
    assert any("is not in signers.yml, the key is not used" in each for each in tree.problems)


def test_an_older_release_under_a_new_name(tree: Tree) -> None:
    alice = tree.person("alice")
    tree.put("alice", alice.signature(DOCUMENT), at="2.0")
    verdict = tree.judged("2.0")
    assert (verdict.outcome, problem(verdict)) == (
        Outcome.UNTRUSTED,
        "the document says release 1.0",
    )


def test_older_sums_under_a_new_name(tree: Tree) -> None:
    alice = tree.person("alice")
    tree.sums("alice", alice, f"{SHA}  hello-1.0.tar.gz\n".encode(), at="2.0")
    verdict = tree.judged("2.0")
    assert (verdict.outcome, problem(verdict)) == (
        Outcome.UNTRUSTED,
        "the files are of 1.0, not of 2.0",
    )


MANIFESTS = [
    f"{SHA}  a\n{'2' * 64}  a\n",  # the same name twice
    f"{SHA}  a\n{SHA}  a\n",
    f"{SHA}  a\n{'2' * 64}  A\n",  # one file where case does not matter
    f"{SHA}  /etc/passwd\n",
    f"{SHA}  ../a\n",
    f"{SHA}  b/../../a\n",
    f"{SHA}  b/./a\n",
    f"{SHA}  b//a\n",
    f"{SHA}  b/\n",
    f"{SHA}  ..\\a\n",
    f"{SHA}  C:\\a\n",
    f"{SHA}  a\x1b[2K\n",
    f"{SHA}  a\tb\n",
    f"{SHA}  a\rb\n",
    f"{SHA}  a\x85{SHA}  b\n",  # line ends to some
    f"{SHA}  a\u2028{SHA}  b\n",
    f"{SHA}  a\u202egnp.exe\n",  # reads as exe.png
    f"{SHA}  a\u200b\n",
    f"{SHA}  a\u00a0b\n",
    f"{SHA}  \u0430.tar.gz\n",  # a Cyrillic letter among Latin ones
    f"{SHA}  a\u0301\n",  # two forms of one letter
    f"{SHA}  \uff41\n",
]


@pytest.mark.parametrize("manifest", MANIFESTS)
@pytest.mark.parametrize("kind", ["report", "sums"])
def test_lines_that_mislead(tree: Tree, kind: str, manifest: str) -> None:
    alice = tree.person("alice")
    if kind == "sums":
        tree.sums("alice", alice, manifest.encode())
    else:
        document = write_report(replace(REPORT, out_manifest=manifest))
        tree.put("alice", alice.signature(document), document)
    verdict = tree.judged()
    assert (statuses(verdict), verdict.outcome) == (
        {"alice": Status.UNREADABLE},
        Outcome.UNTRUSTED,
    )
    assert problem(verdict).isascii()
    assert problem(verdict).isprintable()


def test_a_field_that_is_there_twice(tree: Tree) -> None:
    """One reader would take the first one, another the last one."""
    alice = tree.person("alice")
    document = DOCUMENT + f"- out_manifest: |\n    {'2' * 64}  a.tar.gz\n".encode()
    tree.put("alice", alice.signature(document), document)
    assert statuses(tree.judged()) == {"alice": Status.UNREADABLE}


@pytest.mark.parametrize("name", ["hello-build.assert", "hello-build.assert.sig"])
def test_a_gibibyte(tree: Tree, name: str) -> None:
    alice = tree.person("alice")
    path = tree.put("alice", alice.signature(DOCUMENT)).with_name(name)
    os.truncate(path, 1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = tree.judged()
    assert statuses(verdict) == {"alice": Status.UNREADABLE}
    assert "is longer than" in problem(verdict)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_a_key_file_of_a_gibibyte(tree: Tree) -> None:
    alice = tree.person("alice")
    tree.put("alice", alice.signature(DOCUMENT))
    tree.key("big.gpg", b"\x99")
    os.truncate(tree.root / "builder-keys" / "big.gpg", 1 << 30)
    assert tree.judged().outcome is Outcome.AGREE
    assert len(tree.problems) == 1


@pytest.mark.parametrize(
    ("number", "words"), [(400, "400 subkeys"), (1_400, "2803 parts"), (2_500, "3000")]
)
def test_thousands_of_subkeys(tree: Tree, number: int, words: str) -> None:
    alice, mallory = tree.person("alice"), Forger()
    tree.put("alice", alice.signature(DOCUMENT))
    parts = [mallory.certificate(b"Mallory <m@x>")]
    binding = mallory.signature(b"", kind=0x18)
    for each in range(number):
        parts += [forge.packet(14, mallory.body[:-8] + each.to_bytes(8, "big")), binding]
    tree.key("mallory.gpg", b"".join(parts))
    began = time.monotonic()
    assert tree.judged().outcome is Outcome.AGREE
    assert time.monotonic() - began < 30
    (told,) = tree.problems
    assert words in told


def test_two_keys_with_one_short_id(tree: Tree) -> None:
    """What is known of one key must never be said of the other."""
    one, other = forge.same_short_id()
    assert one.fingerprint[-8:] == other.fingerprint[-8:]
    tree.person("alice", one)
    tree.person("mallory", other)
    tree.put("alice", one.signature(DOCUMENT, created=BEGAN + YEAR))
    tree.put("mallory", other.signature(DOCUMENT, created=BEGAN + YEAR))
    verdict = tree.judged(policy=default_policy(persons=2))
    assert (verdict.outcome, verdict.persons) == (Outcome.AGREE, 2)
    tree.put("alice", other.signature(DOCUMENT, created=BEGAN + YEAR))
    assert statuses(tree.judged())["alice"] is Status.WRONG_NAME
    (tree.root / "builder-keys" / "mallory.gpg").unlink()
    assert statuses(tree.judged())["alice"] is Status.UNKNOWN_KEY


def test_a_signature_that_names_the_key_of_another(tree: Tree) -> None:
    alice = tree.person("alice")
    mallory = tree.person("mallory")
    named = bytes.fromhex(alice.fingerprint)
    tree.put("alice", mallory.signature(DOCUMENT, issuer=named))
    assert statuses(tree.judged()) == {"alice": Status.BAD}


@pytest.mark.parametrize("second", ["alice-key.gpg", "alice_old.gpg", "alice@home.gpg"])
def test_two_keys_of_one_person(tree: Tree, second: str) -> None:
    """By the names of the files, or by the address in them."""
    one = tree.person("alice")
    other = Forger()
    tree.key(second, other.certificate(b"Alice at home <ALICE@x>"))
    tree.put("alice", one.signature(DOCUMENT))
    tree.put(second.removesuffix(".gpg"), other.signature(DOCUMENT))
    verdict = tree.judged(policy=default_policy(persons=2))
    assert (verdict.persons, verdict.outcome) == (1, Outcome.UNTRUSTED)


def test_claiming_the_address_of_another_does_not_make_a_key_theirs(tree: Tree) -> None:
    """A policy that leaves the keys to the tree asks whose file it is, not what a key says."""
    tree.person("alice")
    mallory = Forger()
    tree.key("mallory.gpg", mallory.certificate(b"Alice <alice@x>"))
    tree.put("mallory", mallory.signature(DOCUMENT))
    named = Policy(
        persons=(Named(name="alice"),), require=Group(members=(Member("alice"),), minimum=1)
    )
    verdict = tree.judged(policy=named)
    assert (verdict.outcome, verdict.persons) == (Outcome.UNTRUSTED, 0)


def test_one_signature_in_two_folders(tree: Tree) -> None:
    alice = tree.person("alice")
    for folder in ("alice", "carol", "dave"):
        tree.put(folder, alice.signature(DOCUMENT))
    assert tree.judged(policy=default_policy(persons=2)).persons == 1


BEFORE = BEGAN + YEAR // 2
"""Within the life of the keys below."""
WITH_EVIDENCE = Policy(require=Anyone(1), expired=True)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (None, Outcome.UNTRUSTED),
        (BEGAN + YEAR, Outcome.UNTRUSTED),
        (BEGAN + YEAR - 1, Outcome.AGREE),
    ],
)
def test_a_backdated_signature_of_an_expired_key(
    tree: Tree, seen: int | None, outcome: Outcome
) -> None:
    alice = Forger()
    tree.key("alice.gpg", alice.certificate(b"alice <alice@x>", lasts=YEAR))
    tree.put("alice", alice.signature(DOCUMENT, created=BEFORE))
    assert statuses(tree.judged()) == {"alice": Status.EXPIRED_KEY}
    evidence = None if seen is None else Evidence(seen=seen, source="a test")
    assert tree.judged(policy=WITH_EVIDENCE, evidence=evidence).outcome is outcome
    assert tree.judged(evidence=evidence).outcome is Outcome.UNTRUSTED


@pytest.mark.parametrize("lasts", [None, YEAR])
def test_a_backdated_signature_of_a_revoked_key(tree: Tree, lasts: int | None) -> None:
    """Whoever stole a key can date it before the revocation, so nothing of it counts."""
    alice = Forger()
    revoked = BEGAN + YEAR // 4 * 3
    tree.key("alice.gpg", alice.certificate(b"alice <alice@x>", lasts=lasts, revoked=revoked))
    tree.put("alice", alice.signature(DOCUMENT, created=BEFORE))
    evidence = Evidence(seen=BEFORE, source="a test")
    verdict = tree.judged(policy=WITH_EVIDENCE, evidence=evidence)
    assert (statuses(verdict), verdict.outcome) == (
        {"alice": Status.REVOKED_KEY},
        Outcome.UNTRUSTED,
    )


def test_a_revocation_behind_a_trust_packet(tree: Tree) -> None:
    alice = Forger()
    whole = alice.certificate(b"alice <alice@x>", revoked=BEFORE)
    key = forge.packet(forge.PUBLIC_KEY, alice.body)
    assert whole.startswith(key)
    tree.key("alice.gpg", key + forge.packet(forge.TRUST, b"\x06") + whole[len(key) :])
    tree.put("alice", alice.signature(DOCUMENT))
    assert statuses(tree.judged()) == {"alice": Status.REVOKED_KEY}


def test_gpg_itself_signs_with_a_clock_set_back(tree: Tree, person: Callable[[], Person]) -> None:
    alice = person()
    key = alice.make("Alice <alice@example.org>", expires="1y", at="20200101")
    tree.key("alice.asc", alice.export())
    tree.put("alice", alice.sign(DOCUMENT, key, at="20200301"))
    assert statuses(tree.judged()) == {"alice": Status.EXPIRED_KEY}
    alice.gpg("--quick-set-expire", key, "never", at="20200302")
    alice.revoke(key)
    tree.key("alice.asc", alice.export())
    assert statuses(tree.judged()) == {"alice": Status.REVOKED_KEY}


@pytest.mark.parametrize("trust", [b"", b"\x06", b"\x01\x78", b"\x3c" * 200])
def test_keys_smuggled_in_by_trust_packets(tree: Tree, trust: bytes) -> None:
    alice, mallory = Forger(), Forger()
    vouched = forge.packet(forge.TRUST, trust)
    whole = alice.certificate(b"alice <alice@x>")
    tree.key("alice.gpg", whole + vouched + mallory.certificate(b"m <m@x>") + vouched)
    tree.put("mallory", mallory.signature(DOCUMENT))
    assert statuses(tree.judged()) == {"mallory": Status.UNKNOWN_KEY}
    assert "it holds 2 keys; a signer's file holds one" in tree.problems[0]
    tree.key("alice.gpg", whole + vouched)
    tree.put("alice", alice.signature(DOCUMENT))
    assert statuses(tree.judged()) == {"alice": Status.GOOD, "mallory": Status.UNKNOWN_KEY}
    assert tree.problems == ()


def test_a_key_of_another_inside_a_certificate(tree: Tree) -> None:
    """A foreign key as a subkey, bound by nothing that it signed itself, cannot sign."""
    alice, mallory = tree.person("alice"), Forger()
    binding = mallory.signature(b"", kind=0x18)
    tree.key(
        "mallory.gpg",
        mallory.certificate(b"m <m@x>") + forge.packet(14, alice.body) + binding,
    )
    tree.put("mallory", alice.signature(DOCUMENT))
    verdict = tree.judged()
    (entry,) = verdict.signers
    assert (entry.claim.fingerprint, entry.claim.status) == (
        alice.fingerprint,
        Status.WRONG_NAME,
    )


LOOKING_ALIKE = ["\u0430lice", "alice\u200b", "a\u0301lice", "\uff41lice", "ali\u202ece"]


@pytest.mark.parametrize("name", LOOKING_ALIKE)
def test_signers_whose_names_look_like_another(tree: Tree, name: str) -> None:
    alice, mallory = tree.person("alice"), tree.person(name, address="m")
    tree.put("alice", alice.signature(DOCUMENT))
    tree.put(name, mallory.signature(DOCUMENT))
    verdict = tree.judged()
    assert (statuses(verdict)[name], verdict.outcome) == (Status.UNREADABLE, Outcome.UNTRUSTED)


def test_signers_and_assertions_that_differ_only_in_case(tree: Tree) -> None:
    alice = tree.person("alice")
    for folder in ("alice", "Alice"):
        tree.put(folder, alice.signature(DOCUMENT))
    assert statuses(tree.judged()) == dict.fromkeys(("alice", "Alice"), Status.UNREADABLE)


def test_assertions_that_differ_only_in_case(tree: Tree) -> None:
    alice = tree.person("alice")
    path = tree.put("alice", alice.signature(DOCUMENT))
    path.with_name("Hello-build.assert").write_bytes(DOCUMENT)
    source = keys.from_tree(tree.root)
    with Keyring() as keyring:
        fill(keyring, source)
        checker = Checker.of(keyring, source)
        verdicts = verify_release(
            tree.root, "1.0", name=None, checker=checker, policy=default_policy()
        )
    assert {entry.claim.status for each in verdicts for entry in each.signers} == {
        Status.UNREADABLE
    }


@pytest.mark.parametrize("name", ["hello-build.assert", "hello-build.assert.sig"])
def test_links_to_a_good_entry(tree: Tree, name: str) -> None:
    alice = tree.person("alice")
    good = tree.put("alice", alice.signature(DOCUMENT)).with_name(name)
    link = tree.put("bob", alice.signature(DOCUMENT)).with_name(name)
    link.unlink()
    link.symlink_to(good)
    assert statuses(tree.judged())["bob"] is Status.UNREADABLE


def test_a_key_folder_and_a_key_that_are_links(tree: Tree, tmp_path: Path) -> None:
    mallory = tree.person("mallory")
    tree.put("mallory", mallory.signature(DOCUMENT))
    (tree.root / "builder-keys").rename(tmp_path / "elsewhere")
    (tree.root / "builder-keys").symlink_to(tmp_path / "elsewhere")
    assert statuses(tree.judged()) == {"mallory": Status.UNKNOWN_KEY}
    (tree.root / "builder-keys").unlink()
    (tree.root / "builder-keys").mkdir()
    (tree.root / "builder-keys" / "mallory.gpg").symlink_to(tmp_path / "elsewhere/mallory.gpg")
    assert statuses(tree.judged()) == {"mallory": Status.UNKNOWN_KEY}
    assert len(tree.problems) == 1


EVIL = "<script>alert(1)<\u200b/script>`|[x](javascript:1)![i](http:1)*@everyone\x1b]0;x\x07\u202e"


def test_markup_in_every_name(tree: Tree, workspace: Workspace) -> None:
    """Of a signer, a key file, a user id, an artefact and a release."""
    alice = Forger()
    tree.key("alice.gpg", alice.certificate(f"{EVIL} <alice@x>".encode()))
    tree.key(f"{EVIL.replace('/', '')}.gpg", b"no key")
    tree.put(EVIL.replace("/", ""), alice.signature(DOCUMENT))
    tree.put("alice", alice.signature(DOCUMENT))
    harmless = "<b>`|[x](javascript:1)*@everyone&amp;'\"--><img src=x onerror=1>.exe"
    document = write_report(replace(REPORT, out_manifest=f"{SHA}  {harmless}\n", release="<i>"))
    tree.put("bob", alice.signature(document), document)
    out = workspace.root / "out"
    for words in (("-v", "-m"), ("--explain",), ("--html",), ("--markdown", "--json", "-o", out)):
        ran = workspace.verify("-d", tree.root, *words)
        assert ran.code == 8
        shown = ran.out.replace("\x1b[1;31m", "").replace("\x1b[0m", "") + ran.err
        assert set(filter(lambda c: not c.isprintable(), shown)) == {"\n"}
        if words == ("--html",):
            assert ran.out.count("<script>") == 1
            assert "<b>" not in ran.out
            assert "<img" not in ran.out
            assert "<i>" not in ran.out
    for live in ("<script", "<img", "<b>", "<i>", "](", "`|", " @everyone", "*@", "\x1b", "\u202e"):
        assert live not in out.read_text(), live
