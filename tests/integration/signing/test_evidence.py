"""Signatures of expired keys and young ones, with what others wrote down of when they came."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gbuild.cli._asked import witness_asked
from gbuild.errors import UsageFailure
from gbuild.formats.report import write_report
from gbuild.model.manifest import Report
from gbuild.verify.evidence import by_authorities

from .people import Person, Ran, Workspace

DOCUMENT = write_report(
    Report(
        out_manifest=f"{'1' * 64}  a\n",
        in_manifest="",
        base_manifests={},
        release="1.0",
        name="hello",
        type="build",
    )
)
ENTRY = "1.0/alice/hello-build.assert"
TIMELY = "format: gbuild.policy/1\nrequire: anyone\nexpired_keys: with-evidence\n"
PATIENT = "format: gbuild.policy/1\nrequire: anyone\nminimum_age: 1 week\n"


class Archive:
    """A repository of signatures in which every commit has the date that it is given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, date: str = "2020-01-01") -> str:
        who = {
            f"GIT_{one}_{what}": value
            for one in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@t"), ("DATE", f"{date}T12:00:00Z"))
        }
        environment = {"PATH": os.environ["PATH"], "HOME": "/dev/null", **who}
        done = subprocess.run(
            ["git", "-C", self.root, *words],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, date: str, files: dict[str, bytes]) -> str:
        for path, data in files.items():
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        self.git("add", "--all", date=date)
        self.git("commit", "-q", "-m", date, date=date)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(tmp_path / "sigs-of-hello")
    made.commit("2020-01-01", {"README": b"signatures"})
    return made


@pytest.fixture
def entry(workspace: Workspace, person: Callable[[], Person]) -> dict[str, bytes]:
    """Sign in 2020 with a key that ended with that year; put it into a tree without git."""
    alice = person()
    key = alice.make("Alice <alice@example.org>", expires="1y", at="20200101")
    signature = alice.sign(DOCUMENT, key, at="20200601")
    (workspace.root / "timely.yml").write_text(TIMELY)
    (workspace.root / "patient.yml").write_text(PATIENT)
    return put(workspace, alice, signature)


def put(workspace: Workspace, alice: Person, signature: bytes) -> dict[str, bytes]:
    files = {ENTRY: DOCUMENT, f"{ENTRY}.sig": signature}
    for path, data in {**files, "builder-keys/alice.asc": alice.export()}.items():
        place = workspace.root / "tree" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return files


def verify(workspace: Workspace, *words: str | Path, policy: str = "timely.yml") -> Ran:
    return workspace.verify("-d", "tree", "--policy", policy, *words)


def only(ran: Ran) -> dict[str, Any]:
    (release,) = json.loads(ran.out)["releases"]
    (signer,) = release["signers"]
    found: dict[str, Any] = signer
    return found


def test_an_expired_key_counts_when_a_pinned_history_had_its_signature_in_time(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes]
) -> None:
    assert verify(workspace).code == 8
    commit = archive.commit("2020-07-01", entry)
    archive.commit("2026-01-01", {"README": b"later"})
    evidence = ("--evidence", f"{archive.root}@{commit}")
    shown = verify(workspace, *evidence, "--explain")
    assert shown.code == 0, shown.out
    assert f"known since commit {commit[:12]} of sigs-of-hello" in shown.out
    told = only(verify(workspace, *evidence, "--json"))
    assert (told["status"], told["counted"]) == ("expired-key", True)
    assert told["evidence"] == {
        "seen": 1593604800,
        "source": f"commit {commit[:12]} of sigs-of-hello",
    }
    assert "2020-07-01 12:00:00 UTC, commit" in verify(workspace, *evidence, "-v").out
    assert workspace.verify("-d", "tree", *evidence).code == 8, "without a policy it never counts"


def test_what_came_too_late_does_not_count(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes]
) -> None:
    before = archive.git("rev-parse", "HEAD")
    commit = archive.commit("2021-02-01", entry)
    ran = verify(workspace, "--evidence", f"{archive.root}@{commit}")
    assert ran.code == 8
    assert "first seen on 2021-02-01" in ran.out
    ran = verify(workspace, "--evidence", f"{archive.root}@{before}")
    assert "without outside evidence" in ran.out, "a later commit than the pinned one was read"


def test_a_commit_is_no_older_than_its_parent_says(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes]
) -> None:
    archive.commit("2024-01-01", {"README": b"honest"})
    commit = archive.commit("2020-07-01", entry)
    ran = verify(workspace, "--evidence", f"{archive.root}@{commit}")
    assert ran.code == 8
    assert "first seen on 2024-01-01" in ran.out


def test_what_was_merged_counts_from_its_merge_on(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes]
) -> None:
    archive.git("checkout", "-q", "-b", "proposed")
    archive.commit("2020-07-01", entry)
    archive.git("checkout", "-q", "main")
    archive.git("merge", "-q", "--no-ff", "-m", "merge", "proposed", date="2025-03-01")
    commit = archive.git("rev-parse", "HEAD")
    ran = verify(workspace, "--evidence", f"{archive.root}@{commit}")
    assert ran.code == 8
    assert "first seen on 2025-03-01" in ran.out


def test_another_signature_is_no_evidence(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes]
) -> None:
    commit = archive.commit("2020-07-01", {f"{ENTRY}.sig": entry[f"{ENTRY}.sig"] + b"\n"})
    assert verify(workspace, "--evidence", f"{archive.root}@{commit}").code == 8


def test_what_is_too_young_does_not_count_yet(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes]
) -> None:
    commit = archive.commit("2020-07-01", entry)
    words = ("--evidence", f"{archive.root}@{commit}", "--at")
    assert verify(workspace, policy="patient.yml").code == 8
    assert verify(workspace, *words, "2020-07-03", policy="patient.yml").code == 8
    assert verify(workspace, *words, "2020-07-09", policy="patient.yml").code == 0


def test_only_a_whole_id_pins(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes], tmp_path: Path
) -> None:
    commit = archive.commit("2020-07-01", entry)
    tree = archive.git("rev-parse", "HEAD^{tree}")
    ran = verify(workspace, "--evidence", f"{archive.root}@main")
    assert (ran.code, "can move" in ran.err) == (2, True)
    for asked, words in (
        (f"{archive.root}@{commit[:12]}", "can move"),
        (f"{archive.root}@{'0' * 40}", "has no commit"),
        (f"{archive.root}@{tree}", "has no commit"),
        (f"{workspace.root}@{commit}", "is not a git repository"),
        (f"{tmp_path}/nothing@{commit}", "is not a git repository"),
        (str(archive.root), "no repository with a commit"),
        (f"@{commit}", "no repository with a commit"),
    ):
        with pytest.raises(UsageFailure, match=words):
            witness_asked([asked], None)


def test_a_repository_with_a_hostile_configuration_runs_nothing(
    workspace: Workspace, archive: Archive, entry: dict[str, bytes], tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    commit = archive.commit("2020-07-01", {**entry, ".gitattributes": b"* diff=x filter=x\n"})
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    keys = (
        "core.fsmonitor core.pager pager.rev-list pager.diff-tree core.sshCommand core.gitProxy "
        "core.alternateRefsCommand diff.external diff.x.command diff.x.textconv filter.x.smudge "
        "filter.x.clean gpg.program gpg.ssh.program credential.helper alias.rev-list alias.cat-file"
    )
    for key in keys.split():
        archive.git("config", key, str(program))
    archive.git("config", "log.showSignature", "true")
    archive.git("config", "remote.origin.url", f"ext::{program}")
    archive.git("config", "remote.origin.promisor", "true")
    archive.git("config", "extensions.partialClone", "origin")
    for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (archive.root / ".git/hooks" / hook).write_text(program.read_text())
        (archive.root / ".git/hooks" / hook).chmod(0o755)
    assert verify(workspace, "--evidence", f"{archive.root}@{commit}").code == 0
    verify(workspace, "--evidence", f"{archive.root}@{'1' * 40}")  # git might fetch it
    assert not canary.exists()


@pytest.fixture
def authority(tmp_path: Path) -> Callable[[str], Path]:
    """Return a maker of timestamp authorities: a folder with ``cert.pem`` and its key."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "openssl.cnf").write_text(AUTHORITY)
        openssl(
            folder,
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem"),
            *("-out", "cert.pem", "-subj", f"/CN={name}", "-days", "3", "-config", "openssl.cnf"),
        )
        (folder / "serial").write_text("01\n")
        return folder

    return make


AUTHORITY = """\
[req]
distinguished_name = name
x509_extensions = stamping
prompt = no
[name]
[stamping]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, *words: str | Path) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def stamped(folder: Path, data: bytes) -> bytes:
    (folder / "data").write_bytes(data)
    openssl(folder, "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query")
    openssl(
        folder,
        *("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query", "-out", "reply"),
        *("-signer", "cert.pem", "-inkey", "key.pem"),
    )
    return (folder / "reply").read_bytes()


def test_a_timestamp_proves_that_a_signature_is_old_enough(
    workspace: Workspace, authority: Callable[[str], Path], person: Callable[[], Person]
) -> None:
    """The authority's clock is this host's, so age is what can be tried here, by judging later."""
    (workspace.root / "patient.yml").write_text(PATIENT)
    alice = person()
    signature = alice.sign(DOCUMENT, alice.make("Alice <alice@example.org>"))
    put(workspace, alice, signature)
    one = authority("one")
    proof = workspace.root / "tree" / f"{ENTRY}.sig.tsr"
    proof.write_bytes(stamped(one, signature))
    words = ("--timestamps", one / "cert.pem", "--at")
    soon, later = _days_from_now(1), _days_from_now(9)
    for at, code, told in ((soon, 8, "(first seen on"), (later, 0, "a timestamp by cert.pem")):
        ran = verify(workspace, *words, at, "--explain", policy="patient.yml")
        assert (ran.code, told in ran.out) == (code, True), ran.out


def test_proofs_that_do_not_hold(authority: Callable[[str], Path], tmp_path: Path) -> None:
    one, other = authority("one"), authority("other")
    data = b"a signature"
    good = stamped(one, data)
    witness = by_authorities(one / "cert.pem")
    found = witness(data, good)
    assert found is not None
    assert abs(found.seen - time.time()) < 600
    assert found.source == "a timestamp by cert.pem"
    assert witness(data, None) is None
    assert witness(b"another", good) is None
    assert by_authorities(other / "cert.pem")(data, good) is None
    assert witness(data, stamped(other, data)) is None, "somebody else's proof"
    for damaged in (b"", b"\x30\x03\x02\x01\x00", good[:-1], good[:-40] + bytes(40)):
        assert witness(data, damaged) is None
    (tmp_path / "none.pem").write_text("no certificate")
    for name in ("none.pem", "absent.pem"):
        with pytest.raises(UsageFailure, match="holds no certificate"):
            by_authorities(tmp_path / name)


def _days_from_now(days: int) -> str:
    done = subprocess.run(
        ["date", "--utc", f"--date=+{days} days", "+@%s"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
