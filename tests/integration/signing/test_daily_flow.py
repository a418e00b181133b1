"""gsign, then gverify, as a person does it: whole commands, real gpg, real git."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jsonschema
import pytest

from gbuild.formats.report import read_report

from .people import Person, Workspace

ENTRY = "hello/1.0/alice@example.org/hello-build.assert"
SCHEMAS = Path(__file__).parents[3] / "docs" / "reference" / "schemas"
Git = Callable[[Path, Sequence[str]], str]


def against_schema(command: str, answer: object) -> None:
    schema = json.loads((SCHEMAS / f"{command}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer, schema)


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    made = person()
    made.make("Alice <alice@example.org>")
    return made


def test_a_fresh_workspace(workspace: Workspace, alice: Person) -> None:
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 0, signed.err
    assert list(workspace.files()) == [
        "builder-keys/alice@example.org.asc",
        ENTRY,
        f"{ENTRY}.sig",
    ]
    assert "not committed" in signed.out
    for words in (("hello.yml",), ("hello",), ()):
        verified = workspace.verify(*words)
        assert verified.code == 0, verified.out + verified.err
        assert "GOOD: everybody who counts signed the same files (1 person counted)" in verified.out
        assert "required: every artefact signed alike by 1 person or more" in verified.out


def test_the_assertion_is_the_report_and_its_release(workspace: Workspace, alice: Person) -> None:
    workspace.sign(alice, "--signer", "alice@example.org")
    report = (workspace.root / "result" / "hello-res.yml").read_bytes()
    signed = workspace.files()[ENTRY]
    assert signed.startswith(report)
    assert signed.removeprefix(report) == (
        b"- release: '1.0'\n- name: hello\n- type: build\n- optionals:\n"
    )
    assert read_report(signed).out_manifest == read_report(report).out_manifest


def test_a_second_time_changes_nothing(workspace: Workspace, alice: Person) -> None:
    workspace.sign(alice, "--signer", "alice@example.org")
    before = workspace.files()
    again = workspace.sign(alice, "--signer", "alice@example.org")
    assert again.code == 0
    assert "signed already" in again.out
    assert workspace.files() == before


def test_json_of_both(workspace: Workspace, alice: Person) -> None:
    (fingerprint,) = alice.fingerprints()
    signed = json.loads(workspace.sign(alice, "--signer", fingerprint, "--json").out)
    assert signed["format"] == "gbuild.gsign/1"
    assert (signed["signer"], signed["fingerprint"]) == (fingerprint, fingerprint)
    assert signed["commit"] is None
    verified = json.loads(workspace.verify("--json").out)
    assert verified["format"] == "gbuild.gverify/1"
    (release,) = verified["releases"]
    assert (release["release"], release["name"], release["verdict"]) == ("1.0", "hello", "agree")
    (signer,) = release["signers"]
    assert signer["artifacts"] == {"hello.tar.gz": "agree", "src/hello.tar.gz": "agree"}
    assert verified["totals"] == {"good": 1}
    against_schema("gsign", signed)
    against_schema("gverify", verified)


def test_json_of_failures_follows_the_schema_too(workspace: Workspace, alice: Person) -> None:
    failed = json.loads(workspace.sign(alice, "-s", "zoe@example.org", "--json").out)
    assert failed["error"]["code"] == 2
    against_schema("gsign", failed)
    nobody = json.loads(workspace.verify("--json").out)
    assert nobody["error"]["code"] == 8
    against_schema("gverify", nobody)
    workspace.sign(alice, "-s", "alice@example.org", "--no-export-key")
    unknown = json.loads(workspace.verify("--json").out)
    assert unknown["totals"] == {"unknown-key": 1}
    against_schema("gverify", unknown)


def test_two_who_differ(workspace: Workspace, alice: Person, person: Callable[[], Person]) -> None:
    bob = person()
    bob.make("Bob <bob@example.org>")
    workspace.sign(alice, "--signer", "alice@example.org")
    workspace.build({"hello.tar.gz": b"one", "src/hello.tar.gz": b"OTHER"})
    workspace.sign(bob, "--signer", "bob@example.org")
    verified = workspace.verify("-v")
    assert verified.code == 1
    assert "MISMATCH" in verified.out
    assert "src/hello.tar.gz: 2 different files were signed" in verified.out
    compared = workspace.verify("-c", "alice@example.org", "--json")
    assert compared.code == 1
    states = {
        each["signer"]: each["artifacts"]
        for each in json.loads(compared.out)["releases"][0]["signers"]
    }
    assert states["bob@example.org"] == {"hello.tar.gz": "agree", "src/hello.tar.gz": "differ"}


def test_a_tampered_assertion_beats_a_mismatch(
    workspace: Workspace, alice: Person, person: Callable[[], Person]
) -> None:
    bob = person()
    bob.make("Bob <bob@example.org>")
    workspace.sign(alice, "--signer", "alice@example.org")
    workspace.sign(bob, "--signer", "bob@example.org")
    assert workspace.verify("--persons", "2").code == 0
    path = workspace.sigs / ENTRY
    path.write_bytes(path.read_bytes().replace(b"hello.tar.gz", b"jello.tar.gz", 1))
    verified = workspace.verify()
    assert verified.code == 8
    assert "BAD SIGNATURE" in verified.out
    assert "UNTRUSTED" in verified.out


def test_keys_come_from_where_the_person_says(workspace: Workspace, alice: Person) -> None:
    workspace.sign(alice, "--signer", "alice@example.org", "--no-export-key")
    unknown = workspace.verify()
    assert unknown.code == 8
    (fingerprint,) = alice.fingerprints()
    assert f"no public key {fingerprint}" in unknown.out
    keys = workspace.root / "mine"
    keys.mkdir()
    (keys / "alice.asc").write_bytes(alice.export())
    assert workspace.verify("--keys", keys).code == 0
    own = workspace.run("gverify", "-r", "1.0", "--default-keyring", person=alice)
    assert own.code == 0, own.err


def test_the_default_keyring_is_never_used_unasked(workspace: Workspace, alice: Person) -> None:
    workspace.sign(alice, "--signer", "alice@example.org", "--no-export-key")
    assert workspace.run("gverify", "-r", "1.0", person=alice).code == 8


@pytest.mark.parametrize("words", [("-r", "2.0"), ("-r", "1.0", "other")])
def test_nothing_signed_is_never_a_pass(
    workspace: Workspace, alice: Person, words: tuple[str, ...]
) -> None:
    assert workspace.run("gverify", *words).code == 8
    workspace.sign(alice, "--signer", "alice@example.org")
    assert workspace.run("gverify", *words).code == 8
    (workspace.sigs / "hello" / "2.0" / "zoe").mkdir(parents=True)
    assert workspace.run("gverify", *words).code == 8


@pytest.mark.parametrize("release", ["../1.0", "a/b", "", "-x", "a b", "a\nb"])
def test_a_release_cannot_be_a_path(workspace: Workspace, alice: Person, release: str) -> None:
    words = (f"--release={release}", "hello.yml")
    assert workspace.run("gverify", *words).code == 2
    signed = workspace.run("gsign", "--signer", "alice@example.org", *words, person=alice)
    assert signed.code == 2
    assert not workspace.sigs.exists()


def test_a_destination_of_its_own(workspace: Workspace, alice: Person, tmp_path: Path) -> None:
    dest = tmp_path / "gitian.sigs"
    signed = workspace.sign(alice, "-s", "Alice", "-d", dest)
    assert signed.code == 0, signed.err
    there = sorted(str(p.relative_to(dest)) for p in dest.rglob("*") if p.is_file())
    assert there == ["1.0/Alice/hello-build.assert", "1.0/Alice/hello-build.assert.sig"]
    assert not workspace.sigs.exists()
    assert workspace.verify("-d", dest).code == 8
    workspace.sign(alice, "-s", "Alice", "-d", dest, "--export-key")
    assert workspace.verify("-d", dest, "hello.yml").code == 0


def test_a_name_with_a_space_needs_a_folder(workspace: Workspace, alice: Person) -> None:
    alice.make("Alice Two <two@example.org>")
    refused = workspace.sign(alice, "--signer", "Alice Two")
    assert refused.code == 2
    signed = workspace.sign(alice, "--signer", "Alice Two", "--as", "alice2")
    assert signed.code == 0, signed.err
    assert "hello/1.0/alice2/hello-build.assert" in workspace.files()


# what must not be signed


def test_another_descriptor(workspace: Workspace, alice: Person) -> None:
    path = workspace.root / "hello.yml"
    path.write_text(path.read_text() + "\n# changed\n")
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 2
    assert "another descriptor" in signed.err
    assert not workspace.sigs.exists()


def test_a_tampered_file(workspace: Workspace, alice: Person) -> None:
    (workspace.root / "build" / "out" / "hello.tar.gz").write_bytes(b"ONE")
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 1
    assert "changed: hello.tar.gz" in signed.err
    assert not workspace.sigs.exists()


def test_a_tampered_report(workspace: Workspace, alice: Person) -> None:
    path = workspace.root / "result" / "hello-res.yml"
    path.write_bytes(path.read_bytes().replace(b"  hello.tar.gz", b"  jello.tar.gz"))
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 1
    assert "missing: jello.tar.gz" in signed.err


def test_no_report_and_no_files(workspace: Workspace, alice: Person) -> None:
    out = workspace.root / "build" / "out"
    out.rename(workspace.root / "elsewhere")
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 2
    assert workspace.sign(alice, "--signer", "alice@example.org", "--report-only").code == 0
    (workspace.root / "result" / "hello-res.yml").unlink()
    refused = workspace.sign(alice, "--signer", "alice@example.org")
    assert refused.code == 2
    assert "there is no report" in refused.err


def test_a_running_build(workspace: Workspace, alice: Person) -> None:
    from gbuild.host.files import locked

    with locked(workspace.root / "var" / "lock", what="workspace"):
        signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 3
    assert str(os.getpid()) in signed.err


# keys


@pytest.mark.parametrize("kind", ["expired", "revoked", "missing", "ambiguous", "public"])
def test_a_key_that_cannot_be_used(
    workspace: Workspace, alice: Person, person: Callable[[], Person], kind: str
) -> None:
    if kind == "expired":
        alice.make("Zoe <zoe@example.org>", expires="1y", at="20200101")
    if kind == "revoked":
        alice.revoke(alice.make("Zoe <zoe@example.org>"))
    if kind == "ambiguous":
        alice.make("Zoe <zoe@example.org>")
        alice.make("Zoe again <zoe@example.org>")
    if kind == "public":
        other = person()
        alice.gpg("--import", stdin=other.export(other.make("Zoe <zoe@example.org>")))
    signed = workspace.sign(alice, "--signer", "zoe@example.org")
    assert signed.code == 2
    assert "zoe@example.org" in signed.err
    assert {"missing": "Alice", "ambiguous": "Zoe again"}.get(kind, "Zoe") in signed.err
    assert not workspace.sigs.exists()


def stop_agent(person: Person) -> None:
    subprocess.run(["gpgconf", "--homedir", person.home, "--kill", "gpg-agent"], check=True)


def test_an_agent_that_comes_up_too_late(workspace: Workspace, alice: Person) -> None:
    """On a busy host gpg gives its agent up; it is not taken for a person without keys."""
    stop_agent(alice)
    (alice.home / "gpg.conf").write_text("agent-program /bin/false\n")
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 0, signed.err


def test_an_agent_that_never_comes_up(workspace: Workspace, alice: Person) -> None:
    stop_agent(alice)
    where = ["gpgconf", "--homedir", str(alice.home), "--list-dirs", "agent-socket"]
    socket = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    socket.write_text("%Assuan%\nsocket=/nowhere/agent\n")
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 2
    assert "gpg could not list your keys" in signed.err
    assert "can't connect to the agent" in signed.err


def test_gpg_conf_cannot_swap_the_key(workspace: Workspace, alice: Person) -> None:
    other = alice.make("Other <other@example.org>")
    (alice.home / "gpg.conf").write_text(f"local-user {other}\n")
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 2
    assert "another key" in signed.err
    assert not workspace.sigs.exists()
    (alice.home / "gpg.conf").write_text(f"default-key {other}\narmor\n")
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 0
    assert workspace.files()[f"{ENTRY}.sig"][0] & 0x80, "armored"


def test_a_subkey_signs_although_the_primary_is_kept_elsewhere(
    workspace: Workspace, alice: Person, person: Callable[[], Person]
) -> None:
    (primary,) = alice.fingerprints()
    alice.gpg("--quick-add-key", primary, "ed25519", "sign", "never")
    alice.gpg("--quick-add-key", primary, "rsa2048", "sign", "never")
    listed = alice.gpg("--with-colons", "--list-keys").decode().split("\n")
    _, older, newer = (line.split(":")[9] for line in listed if line.startswith("fpr:"))
    laptop = person()
    laptop.gpg("--import", stdin=alice.gpg("--export-secret-subkeys", primary))
    either = {older, newer}  # both were made in one second: gpg's choice
    cases = ((older, {older}), (newer[-16:], {newer}), ("alice@example.org", either))
    for wanted, used in cases:
        signed = workspace.sign(laptop, "--signer", wanted, "--json")
        assert signed.code == 0, signed.err
        assert json.loads(signed.out)["fingerprint"] == primary
        entries = json.loads(workspace.verify("--json").out)["releases"][0]["signers"]
        assert next(e["key"] for e in entries if e["signer"] == wanted) in used
    result = json.loads(workspace.verify("--json").out)["releases"][0]
    assert (result["verdict"], result["persons"]) == ("agree", 1)


def test_a_passphrase_that_cannot_be_asked_for(
    workspace: Workspace, person: Callable[[], Person]
) -> None:
    locked = person()
    locked.gpg(
        "--passphrase", "secret", "--quick-generate-key", "L <l@example.org>", "ed25519", "sign"
    )
    subprocess.run(["gpgconf", "--homedir", locked.home, "--kill", "all"], check=True)
    (locked.home / "gpg-agent.conf").write_text("pinentry-program /bin/false\n")
    signed = workspace.sign(locked, "--signer", "l@example.org")
    assert signed.code == 2
    assert "gpg did not sign" in signed.err
    assert not workspace.sigs.exists()


# what lies there already


def test_a_differing_earlier_assertion_stays_unless_forced(
    workspace: Workspace, alice: Person
) -> None:
    workspace.sign(alice, "--signer", "alice@example.org")
    before = workspace.files()
    workspace.build({"hello.tar.gz": b"newer"})
    refused = workspace.sign(alice, "--signer", "alice@example.org")
    assert refused.code == 2
    assert "--force" in refused.err
    assert workspace.files() == before
    assert workspace.sign(alice, "--signer", "alice@example.org", "--force").code == 0
    assert workspace.files() != before
    assert workspace.verify().code == 0


def test_somebody_else_s_entry_is_never_replaced(
    workspace: Workspace, alice: Person, person: Callable[[], Person]
) -> None:
    bob = person()
    bob.make("Bob <bob@example.org>")
    workspace.sign(bob, "--signer", "bob@example.org", "--as", "builder")
    before = workspace.files()
    for words in ((), ("--force",), ("--force", "--no-export-key")):
        signed = workspace.sign(alice, "--signer", "alice@example.org", "--as", "builder", *words)
        assert signed.code == 2
        assert "another key" in signed.err
        assert workspace.files() == before


def test_what_an_interrupted_run_left_is_completed(workspace: Workspace, alice: Person) -> None:
    workspace.sign(alice, "--signer", "alice@example.org")
    (workspace.sigs / f"{ENTRY}.sig").unlink()
    assert workspace.verify().code == 8
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 0
    (workspace.sigs / ENTRY).unlink()
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 0
    assert workspace.verify().code == 0


def test_the_key_file_learns_and_forgets_nothing(workspace: Workspace, alice: Person) -> None:
    (first,) = alice.fingerprints()
    workspace.sign(alice, "--signer", "alice@example.org")
    path = workspace.sigs / "builder-keys" / "alice@example.org.asc"
    alice.gpg("--quick-add-uid", first, "Alice <alice@work.example>")
    workspace.sign(alice, "--signer", "alice@example.org")
    assert b"alice@work.example" in alice.gpg("--show-keys", path)
    path.write_bytes(b"garbage")
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 2
    assert path.read_bytes() == b"garbage"


# other programs


def test_signed_on_another_machine(workspace: Workspace, alice: Person) -> None:
    made = workspace.sign(alice, "--signer", "alice@example.org", "-p", "true")
    assert made.code == 0
    assert "no signature yet" in made.out
    assert list(workspace.files()) == [ENTRY]
    path = workspace.sigs / ENTRY
    Path(f"{path}.sig").write_bytes(alice.sign(path.read_bytes(), "alice@example.org"))
    keys = workspace.root / "keys"
    keys.mkdir()
    (keys / "a.asc").write_bytes(alice.export())
    assert workspace.verify("--keys", keys).code == 0
    assert workspace.sign(alice, "--signer", "alice@example.org", "-p", "true").code == 0
    assert workspace.verify("--keys", keys).code == 0


def test_gitian_s_own_signing_program(workspace: Workspace, alice: Person) -> None:
    program = "gpg --batch --detach-sign"
    signed = workspace.sign(alice, "--signer", "alice@example.org", "--signing_program", program)
    assert signed.code == 0, signed.err
    assert list(workspace.files()) == [ENTRY, f"{ENTRY}.sig"]


@pytest.mark.parametrize("program", ["false", "no-such-program", "'", ""])
def test_a_signing_program_that_fails(workspace: Workspace, alice: Person, program: str) -> None:
    signed = workspace.sign(alice, "--signer", "alice@example.org", f"--signing-program={program}")
    assert signed.code in {2, 3}
    assert not workspace.sigs.exists() or not workspace.files()


def test_no_shell_reads_the_signing_program(workspace: Workspace, alice: Person) -> None:
    canary = workspace.root / "canary"
    workspace.sign(
        alice, "-s", "alice@example.org", "-p", f"true; touch {canary} $(touch {canary})"
    )
    assert not canary.exists()


# interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_while_gpg_waits(
    workspace: Workspace, person: Callable[[], Person], number: signal.Signals
) -> None:
    slow = person()
    pinentry = slow.home / "pinentry"
    pinentry.write_text("#!/bin/sh\necho OK\ntouch $(dirname $0)/asked\nexec sleep 20\n")
    pinentry.chmod(0o755)
    slow.gpg("--passphrase", "x", "--quick-generate-key", "S <s@example.org>", "ed25519", "sign")
    subprocess.run(["gpgconf", "--homedir", slow.home, "--kill", "all"], check=True)
    (slow.home / "gpg-agent.conf").write_text(f"pinentry-program {pinentry}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "gbuild.cli.gsign", "-s", "s@example.org", "-r", "1.0", "hello.yml"],
        cwd=workspace.root,
        env={"PATH": os.environ["PATH"], "HOME": "/", "GNUPGHOME": str(slow.home)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _wait_for(slow.home / "asked")
    process.send_signal(number)
    code = process.wait(120)
    assert code == (-9 if number is signal.SIGKILL else 130)
    assert not workspace.sigs.exists() or not workspace.files()


def _wait_for(path: Path) -> None:
    import time

    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# git


def repository(folder: Path, git: Git) -> None:
    folder.mkdir()
    git(folder, ["init", "-q"])
    git(folder, ["config", "user.name", "Alice"])
    git(folder, ["config", "user.email", "alice@example.org"])


def test_a_repository_of_its_own_gets_a_commit(
    workspace: Workspace, alice: Person, git: Git
) -> None:
    repository(workspace.sigs, git)
    (workspace.sigs / "draft").write_text("not mine to commit")
    git(workspace.sigs, ["add", "draft"])
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 0, signed.err
    assert "committed" in signed.out
    names = git(workspace.sigs, ["show", "--name-only", "--format=%s"]).split("\n")
    assert names[0] == "Add alice@example.org's signature of hello 1.0"
    assert sorted(filter(None, names[1:])) == [
        "builder-keys/alice@example.org.asc",
        ENTRY,
        f"{ENTRY}.sig",
    ]
    assert git(workspace.sigs, ["status", "--porcelain"]) == "A  draft\n"
    again = workspace.sign(alice, "--signer", "alice@example.org")
    assert again.code == 0, again.err
    assert git(workspace.sigs, ["rev-list", "--count", "HEAD"]) == "1\n"


def test_a_repository_around_the_workspace_is_left_alone(
    workspace: Workspace, alice: Person, git: Git
) -> None:
    git(workspace.root, ["init", "-q"])
    assert "not committed" in workspace.sign(alice, "--signer", "alice@example.org").out
    assert git(workspace.root, ["log", "--all", "--oneline"]) == ""


def test_hooks_and_monitors_are_not_run(workspace: Workspace, alice: Person, git: Git) -> None:
    repository(workspace.sigs, git)
    canary = workspace.root / "canary"
    for name in ("pre-commit", "commit-msg", "post-commit", "prepare-commit-msg"):
        hook = workspace.sigs / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    git(workspace.sigs, ["config", "core.fsmonitor", f"touch {canary};:"])
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 0
    assert not canary.exists()


def test_in_the_middle_of_a_merge(workspace: Workspace, alice: Person, git: Git) -> None:
    repository(workspace.sigs, git)
    git(workspace.sigs, ["commit", "-q", "--allow-empty", "-m", "first"])
    (workspace.sigs / ".git" / "MERGE_HEAD").write_text(git(workspace.sigs, ["rev-parse", "HEAD"]))
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 3
    assert "merge" in signed.err
    assert workspace.files() == {}


def test_no_identity_keeps_the_files_and_says_so(
    workspace: Workspace, alice: Person, git: Git
) -> None:
    workspace.sigs.mkdir()
    git(workspace.sigs, ["init", "-q"])
    git(workspace.sigs, ["config", "user.useConfigOnly", "true"])
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 3
    assert "written, but not committed" in signed.err
    assert workspace.verify().code == 0
    git(workspace.sigs, ["config", "user.name", "Alice"])
    git(workspace.sigs, ["config", "user.email", "a@example.org"])
    assert "committed  " in workspace.sign(alice, "--signer", "alice@example.org").out


def test_git_that_changes_bytes_is_caught(workspace: Workspace, alice: Person, git: Git) -> None:
    repository(workspace.sigs, git)
    git(workspace.sigs, ["config", "filter.upper.clean", "tr a-z A-Z"])
    (workspace.sigs / ".git" / "info" / "attributes").write_text("*.assert filter=upper\n")
    signed = workspace.sign(alice, "--signer", "alice@example.org")
    assert signed.code == 3
    assert "git changed" in signed.err
