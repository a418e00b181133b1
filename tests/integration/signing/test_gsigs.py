"""A repository of signatures and the changes that people propose: real git, real gpg."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gbuild.host.git.command import Git as HostGit

from .people import Person, Ran, Workspace
from .test_daily_flow import against_schema

Git = Callable[[Path, Sequence[str]], str]
ENTRY = "1.0/alice@example.org/hello-build.assert"


class Repository:
    """A repository that gsigs started, with alice's key in it, and changes on branches."""

    def __init__(self, root: Path, git: Git, workspace: Workspace) -> None:
        self.root = root
        self._git = git
        self._workspace = workspace
        started = workspace.run("gsigs", "init", root)
        assert started.code == 0, started.err

    def git(self, *words: str) -> str:
        return self._git(self.root, words)

    def commit(self, files: dict[str, bytes | None]) -> None:
        for path, data in files.items():
            place = self.root / path
            if data is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        self.git("add", "--all", "--force", ".")
        self.git("commit", "-q", "-m", "a change")

    def branch(self) -> None:
        self.git("checkout", "-q", "-b", "proposed")

    def sign(self, person: Person, *words: str | Path) -> None:
        done = self._workspace.sign(person, "-d", self.root, *words)
        assert done.code == 0, done.err

    def check(self, *words: str) -> Ran:
        return self._workspace.run("gsigs", "check", "main..proposed", "-C", self.root, *words)


@pytest.fixture
def alice(person: Callable[[], Person]) -> Person:
    made = person()
    made.make("Alice <alice@example.org>")
    return made


@pytest.fixture
def bob(person: Callable[[], Person]) -> Person:
    made = person()
    made.make("Bob <bob@example.org>")
    return made


@pytest.fixture
def repository(
    tmp_path: Path, git: Git, workspace: Workspace, alice: Person, bob: Person
) -> Repository:
    workspace.environment |= {
        f"GIT_{who}_{what}": "t@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    made = Repository(tmp_path / "sigs-of-hello", git, workspace)
    made.git("config", "user.name", "t")
    made.git("config", "user.email", "t@example.org")
    made.commit(
        {
            "builder-keys/alice@example.org.asc": alice.export(),
            "builder-keys/bob@example.org.asc": bob.export(),
        }
    )
    made.branch()
    return made


def test_an_entry_with_a_good_signature(repository: Repository, alice: Person) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    done = repository.check("--signer", "alice@example.org")
    assert done.code == 0, done.out + done.err
    assert done.out.endswith("accepted\n")
    answer = json.loads(repository.check("--json").out)
    against_schema("gsigs", answer)
    assert (answer["accepted"], answer["signer"]) == (True, "alice@example.org")
    assert answer["releases"] == ["1.0"]


def test_a_stage_with_a_good_signature(repository: Repository, alice: Person) -> None:
    repository.sign(alice, "--signer", "alice@example.org", "--stage", "noncodesigned")
    done = repository.check()
    assert done.code == 0, done.out + done.err


def test_what_is_started_is_whole(repository: Repository) -> None:
    listed = set(repository.git("ls-tree", "-r", "--name-only", "main").split())
    assert {"README.md", ".gitattributes", "policy.yml", "builder-keys/README.md"} <= listed
    assert "@NAME@" not in (repository.root / "README.md").read_text()
    done = repository.check()
    assert (done.code, done.out) == (0, "accepted\n")


def test_a_signature_by_somebody_else(repository: Repository, alice: Person, bob: Person) -> None:
    repository.sign(bob, "--signer", "bob@example.org", "--as", "alice@example.org")
    done = repository.check()
    assert done.code == 8
    assert "not trusted: alice@example.org" in done.out
    assert done.out.endswith("not accepted\n")


def test_a_key_cannot_vouch_for_what_comes_with_it(
    repository: Repository, person: Callable[[], Person]
) -> None:
    carol = person()
    carol.make("Carol <carol@example.org>")
    repository.sign(carol, "--signer", "carol@example.org")
    assert repository.check().code == 8
    repository.commit({"builder-keys/carol@example.org.asc": carol.export()})
    done = repository.check()
    assert (done.code, "a new key cannot vouch for the entry it comes with" in done.out) == (
        1,
        True,
    )


@pytest.mark.parametrize("path", ["policy.yml", "signers.yml", ".github/workflows/signatures.yml"])
def test_what_decides_does_not_change_with_what_it_decides_about(
    repository: Repository, alice: Person, path: str
) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    repository.commit({path: b"format: gbuild.policy/1\nrequire: nobody\n"})
    done = repository.check()
    assert done.code == 1
    assert f"what decides about them change together: {path}" in done.out


def test_the_base_says_whose_keys_count_not_the_change(
    repository: Repository, alice: Person, bob: Person
) -> None:
    """A branch from before Alice's folder was given to another key."""
    repository.sign(alice, "--signer", "alice@example.org")
    assert repository.check().code == 0
    (key,) = bob.fingerprints()
    repository.git("checkout", "-q", "main")
    repository.commit(
        {"signers.yml": f"signers:\n  alice@example.org:\n    keys: [{key}]\n".encode()}
    )
    done = repository.check()
    assert done.code == 8, done.out
    assert "not trusted: alice@example.org" in done.out


def test_the_policy_of_the_base_judges_not_that_of_the_change(
    repository: Repository, alice: Person
) -> None:
    """A branch from before the policy asked for three persons."""
    repository.sign(alice, "--signer", "alice@example.org")
    policy = b"format: gbuild.policy/1\nrequire: {at_least: 3, of: anyone}\n"
    repository.git("checkout", "-q", "main")
    repository.commit({"policy.yml": policy})
    assert "persons with a signature that counts: 1, 3 needed" in repository.check().out


def test_git_finds_no_bare_repository_by_itself(tmp_path: Path) -> None:
    """Every git of ours names its repository; one that forgot to would not take what is there."""
    bare = tmp_path / "bare"
    git = HostGit(git_dir=bare)
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    words = [word for word in git.command("rev-parse") if not word.startswith("--git-dir")]
    done = subprocess.run(words, cwd=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, "safe.bareRepository" in done.stderr) == (128, True)


def test_a_policy_of_its_own_is_for_a_maintainer(repository: Repository) -> None:
    repository.commit({"policy.yml": b"format: gbuild.policy/1\nrequire: nobody\n"})
    done = repository.check()
    assert (done.code, "for a maintainer: policy.yml: changed" in done.out) == (1, True)


@pytest.mark.parametrize("change", ["changed", "removed", "tampered"])
def test_entries_stay_as_they_are(repository: Repository, alice: Person, change: str) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "proposed")
    repository.git("checkout", "-q", "proposed")
    data = (repository.root / ENTRY).read_bytes()
    files: dict[str, dict[str, bytes | None]] = {
        "changed": {ENTRY: data + b"\n"},
        "removed": {ENTRY: None, f"{ENTRY}.sig": None},
        "tampered": {f"{ENTRY}.sig": b"no signature"},
    }
    repository.commit(files[change])
    done = repository.check()
    assert done.code == 1
    assert "refused: 1.0/alice@example.org/" in done.out


def test_two_signers_at_once(repository: Repository, alice: Person, bob: Person) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    repository.sign(bob, "--signer", "bob@example.org")
    done = repository.check()
    assert (done.code, "several signers: alice@example.org, bob@example.org" in done.out) == (
        1,
        True,
    )


def test_a_change_of_somebody_else(repository: Repository, alice: Person) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    done = repository.check("--signer", "bob@example.org")
    assert (done.code, "belongs to alice@example.org, and comes from bob" in done.out) == (1, True)


def test_whoever_disagrees_is_heard(
    repository: Repository, workspace: Workspace, alice: Person, bob: Person
) -> None:
    repository.git("checkout", "-q", "main")
    repository.sign(alice, "--signer", "alice@example.org")
    repository.git("checkout", "-q", "-B", "proposed")
    workspace.build({"hello.tar.gz": b"another", "src/hello.tar.gz": b"two"})
    repository.sign(bob, "--signer", "bob@example.org")
    done = repository.check()
    assert done.code == 0, done.out
    assert "hello.tar.gz" in done.out


@pytest.mark.parametrize("kind", ["link", "executable", "case", "control"])
def test_odd_files(repository: Repository, alice: Person, kind: str) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    folder = repository.root / "1.0" / "alice@example.org"
    if kind == "link":
        (folder / "x-build.assert").symlink_to("/etc/passwd")
    elif kind == "executable":
        (folder / "hello-build.assert").chmod(0o755)
    elif kind == "case":
        (folder / "HELLO-build.assert").write_bytes(b"")
    else:
        (folder / "\x1b[31m-build.assert").write_bytes(b"")
    repository.git("add", "--all", ".")
    repository.git("commit", "-q", "--amend", "-m", "odd")
    done = repository.check()
    assert done.code == 1
    assert "refused: " in done.out
    assert "\x1b" not in done.out


def test_a_bare_repository_inside_the_tree_runs_nothing(
    repository: Repository, alice: Person, tmp_path: Path
) -> None:
    repository.sign(alice, "--signer", "alice@example.org")
    ran = tmp_path / "ran"
    trap = f"[core]\n\tbare = true\n\tfsmonitor = touch {ran}\n\tpager = touch {ran}\n".encode()
    inner = "1.0/alice@example.org/inner"
    repository.commit(
        {
            f"{inner}/config": trap,
            f"{inner}/HEAD": b"ref: refs/heads/main\n",
            f"{inner}/objects/x": b"",
            f"{inner}/refs/x": b"",
            ".gitattributes": b"* filter=trap diff=trap\n",
        }
    )
    assert repository.check().code == 1
    assert not ran.exists()


def test_a_key_learns(repository: Repository, alice: Person) -> None:
    (fingerprint,) = alice.fingerprints()
    alice.gpg("--quick-set-expire", fingerprint, "3y")
    alice.gpg("--quick-add-key", fingerprint, "ed25519", "sign", "never")
    repository.commit({"builder-keys/alice@example.org.asc": alice.export()})
    done = repository.check()
    assert done.code == 0, done.out + done.err


def test_what_a_key_claims_is_for_a_maintainer(
    repository: Repository, alice: Person, bob: Person
) -> None:
    """Nobody is bound to a folder, or counted as somebody, by a key that no person looked at."""
    (fingerprint,) = bob.fingerprints()
    bob.gpg("--quick-add-uid", fingerprint, "Alice <alice@example.org>")
    repository.commit({"builder-keys/bob@example.org.asc": bob.export()})
    done = repository.check()
    assert (done.code, "newly claims to be 'Alice <alice@example.org>'" in done.out) == (1, True)
    repository.git("checkout", "-q", "main")
    repository.git("checkout", "-q", "-B", "proposed")
    repository.commit({"builder-keys/alice@example.org-key.asc": bob.export()})
    done = repository.check()
    assert (done.code, "for a maintainer: builder-keys/alice@example.org-key" in done.out) == (
        1,
        True,
    )


def test_a_key_forgets_nothing(repository: Repository, alice: Person, bob: Person) -> None:
    path = "builder-keys/alice@example.org.asc"
    before = (repository.root / path).read_bytes()
    (fingerprint,) = alice.fingerprints()
    alice.revoke(fingerprint)
    repository.commit({path: alice.export()})
    assert repository.check().code == 0
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "proposed")
    repository.git("checkout", "-q", "proposed")
    for data, words in (
        (before, f"the revocation of {fingerprint} vanishes"),
        (bob.export(), "it becomes another key"),
        (before + bob.export(), "it holds 2 keys"),
        (b"no key", "builder-keys/alice@example.org.asc: "),
        (None, "a key must stay"),
    ):
        repository.commit({path: data})
        done = repository.check()
        assert (done.code, words in done.out) == (1, True), done.out


@pytest.mark.parametrize(
    "words", ["main", "main..nowhere", "..proposed", "main...proposed", "--all..x"]
)
def test_what_is_no_range(repository: Repository, workspace: Workspace, words: str) -> None:
    done = workspace.run("gsigs", "check", "-C", repository.root, "--", words)
    assert done.code == 2, done.out + done.err


def test_a_folder_that_is_there_is_left_alone(workspace: Workspace) -> None:
    done = workspace.run("gsigs", "init", workspace.root)
    assert (done.code, "not empty" in done.err) == (2, True)
    assert not (workspace.root / "README.md").exists()
