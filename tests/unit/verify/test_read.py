"""A tree that somebody filled on purpose: nothing hangs, nothing is followed, nothing is run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gbuild.errors import UsageFailure
from gbuild.host.foreign import Refused, opened
from gbuild.verify import keys, read
from gbuild.verify.read import Found


def read_release(root: Path, release: str, name: str | None = None) -> tuple[Found, ...]:
    return tuple(read.read_release(root, release, name=name))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sigs" / "1.0").mkdir(parents=True)
    return tmp_path / "sigs"


def entry(root: Path, signer: str, name: str = "hello", release: str = "1.0") -> Path:
    folder = root / release / signer
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-build.assert").write_bytes(b"document")
    (folder / f"{name}-build.assert.sig").write_bytes(b"signature")
    return folder


def problems(root: Path) -> dict[str, str | None]:
    return {found.signer: found.problem for found in read_release(root, "1.0")}


def test_entries_in_the_order_of_signer_and_package(root: Path) -> None:
    entry(root, "bob")
    entry(root, "alice", "world")
    entry(root, "alice")
    assert [(f.signer, f.name) for f in read_release(root, "1.0")] == [
        ("alice", "hello"),
        ("alice", "world"),
        ("bob", "hello"),
    ]
    (found,) = read_release(root, "1.0", name="world")
    assert found == Found(
        signer="alice",
        name="world",
        folder="1.0/alice",
        assertion=b"document",
        signature=b"signature",
    )


def test_what_lies_about_is_no_entry(root: Path) -> None:
    (root / "1.0" / "README").write_text("hello")
    (root / "1.0" / ".git").mkdir()
    (entry(root, "alice") / "note.txt").write_text("hello")
    (root / "1.0" / "empty").mkdir()
    assert list(problems(root)) == ["alice"]


def test_a_release_that_is_not_there(root: Path) -> None:
    with pytest.raises(Refused, match="not a folder"):
        read_release(root, "2.0")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc"])
def test_a_release_is_one_folder_name(root: Path, name: str) -> None:
    with pytest.raises(Refused):
        read_release(root, name)


def test_a_release_that_is_a_link(root: Path) -> None:
    (root / "2.0").symlink_to("1.0")
    with pytest.raises(Refused, match="symbolic link"):
        read_release(root, "2.0")


def test_a_signer_that_is_a_link(root: Path) -> None:
    entry(root, "alice")
    (root / "1.0" / "bob").symlink_to("alice")
    assert problems(root) == {"alice": None, "bob": "bob is a symbolic link"}


@pytest.mark.parametrize("suffix", ["", ".sig"])
def test_a_file_that_is_a_link(root: Path, suffix: str) -> None:
    path = entry(root, "alice") / f"hello-build.assert{suffix}"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert problems(root) == {"alice": f"{path.name} is a symbolic link"}


def test_a_fifo_does_not_hang(root: Path) -> None:
    path = entry(root, "alice") / "hello-build.assert"
    path.unlink()
    os.mkfifo(path)
    assert problems(root) == {"alice": "hello-build.assert is not a regular file"}


def test_a_folder_instead_of_a_file(root: Path) -> None:
    path = entry(root, "alice") / "hello-build.assert"
    path.unlink()
    path.mkdir()
    assert problems(root) == {"alice": "hello-build.assert is not a regular file"}


@pytest.mark.parametrize(
    ("suffix", "limit"), [("", read.MAX_ASSERTION), (".sig", read.MAX_SIGNATURE)]
)
def test_a_huge_file_is_not_read(root: Path, suffix: str, limit: int) -> None:
    path = entry(root, "alice") / f"hello-build.assert{suffix}"
    os.truncate(path, limit)
    assert problems(root)["alice"] is None
    os.truncate(path, 1 << 40)
    assert problems(root) == {"alice": f"{path.name} is longer than {limit} bytes"}


@pytest.mark.parametrize(
    "signer",
    ["-rf", "al ice", "alice\n", "\x1b[31mred", "al\u202eice", "<b>", os.fsdecode(b"\xff\xfe")],
)
def test_an_odd_signer_is_reported_and_not_opened(root: Path, signer: str) -> None:
    entry(root, signer)
    (found,) = read_release(root, "1.0")
    assert found.problem is not None
    assert "signer name" in found.problem
    assert found.assertion is None


def test_signers_that_differ_only_in_case(root: Path) -> None:
    for signer in ("Bob", "bob", "carol"):
        entry(root, signer)
    found = problems(root)
    assert found["carol"] is None
    assert found["Bob"]
    assert found["Bob"] == found["bob"]


def test_files_that_differ_only_in_case(root: Path) -> None:
    entry(root, "alice", "Hello")
    entry(root, "alice", "hello")
    assert problems(root) == {"alice": "file names differ only in case"}


def test_an_odd_package_name(root: Path) -> None:
    entry(root, "alice", "he\nllo")
    assert "build name" in (problems(root)["alice"] or "")


def test_too_many_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_FILES", 3)
    monkeypatch.setattr(read, "MAX_SIGNERS", 2)
    folder = entry(root, "alice")
    for number in range(3):
        (folder / f"x{number}").touch()
    entry(root, "bob")
    assert problems(root) == {"alice": "more than 3 names in one folder", "bob": None}
    entry(root, "carol")
    with pytest.raises(Refused, match="more than 2"):
        read_release(root, "1.0")


def test_too_many_bytes_together(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_RELEASE", 40)
    entry(root, "alice")
    entry(root, "bob")
    assert len(problems(root)) == 2
    entry(root, "carol")
    with pytest.raises(Refused, match="larger than 40 bytes"):
        read_release(root, "1.0")


def test_half_an_entry(root: Path) -> None:
    (entry(root, "alice") / "hello-build.assert").unlink()
    (entry(root, "bob") / "hello-build.assert.sig").unlink()
    alice, bob = read_release(root, "1.0")
    assert (alice.assertion, alice.signature) == (None, b"signature")
    assert (bob.assertion, bob.signature) == (b"document", None)


def test_releases_of_a_tree(root: Path) -> None:
    entry(root, "alice")
    for name in ("builder-keys", "keys", ".git", "2.0"):
        (root / name).mkdir()
    (root / "README.md").touch()
    (root / "latest").symlink_to("2.0")
    assert read.releases(root) == ("1.0", "2.0")


def test_keys_of_a_tree(root: Path) -> None:
    folder = root / "builder-keys"
    folder.mkdir()
    (folder / "alice.asc").write_bytes(b"key")
    (folder / "README").write_bytes(b"no key")
    (folder / "link.asc").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.gpg")
    os.truncate(os.open(folder / "big.pgp", os.O_CREAT | os.O_WRONLY), 1 << 40)
    (root / "keys").symlink_to("/etc")
    (root.parent / "keys").mkdir()
    (root.parent / "keys" / "bob.pgp").write_bytes(b"bob")
    source = keys.from_tree(root)
    assert source.files == ()
    assert sorted(line.rpartition("/")[2] for line in source.problems) == [
        "alice.asc: there is no public key in it",
        "big.pgp: big.pgp is longer than 1048576 bytes",
        "bob.pgp: there is no public key in it",
        "keys: a symbolic link is not followed",
        "link.asc: link.asc is a symbolic link",
        "pipe.gpg: pipe.gpg is not a regular file",
    ]
    assert source.folders == (str(folder), str(root.parent / "keys"))


def test_a_tree_without_keys(root: Path) -> None:
    assert keys.from_tree(root) == keys.KeySource()


def test_a_key_folder_that_a_person_named_must_have_keys(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="no key file"):
        keys.from_folders([tmp_path])
    with pytest.raises(Refused):
        keys.from_folders([tmp_path / "none"])


def test_no_descriptor_is_left_open(root: Path) -> None:
    entry(root, "alice")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        read_release(root, "1.0")
        with opened(root) as folder, pytest.raises(Refused), folder.enter("none"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
