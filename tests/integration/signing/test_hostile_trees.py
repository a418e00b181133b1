"""Whole gverify on trees that somebody filled on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .people import Person, Workspace

BOMB = (
    b"a: &a ["
    + b"x," * 9
    + b"x]\n"
    + b"".join(b"%c: &%c [*%c%s]\n" % (n, n, n - 1, b",*%c" % (n - 1) * 8) for n in range(98, 106))
)


@pytest.fixture
def tree(workspace: Workspace, person: Callable[[], Person]) -> Path:
    """Return the release folder of a tree with one good signer."""
    alice = person()
    alice.make("Alice <alice@example.org>")
    assert workspace.sign(alice, "--signer", "alice@example.org").code == 0
    return workspace.sigs / "hello" / "1.0"


def copy(tree: Path, signer: str) -> Path:
    shutil.copytree(tree / "alice@example.org", tree / signer)
    return tree / signer / "hello-build.assert"


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        b"--- !ruby/object:Gem::Requirement\nrequirements: !ruby/object:Gem::Package {}\n",
        b"!!python/object/apply:os.system ['touch /tmp/canary']",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"{" * 100_000,
        b"- out_manifest: " + b"'" * 200_001,
        b"\x00" * 100_000,
        b"\xff\xfe" + "out_manifest: x".encode("utf-16le"),
        b"out_manifest: " + b"x" * (8 << 20),
        b"",
    ],
)
def test_documents(workspace: Workspace, tree: Path, content: bytes) -> None:
    copy(tree, "mallory").write_bytes(content)
    verified = workspace.verify()
    assert verified.code == 8
    assert "mallory" in verified.out
    assert "Traceback" not in verified.err
    assert not Path("/tmp/canary").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89\xff\xff" + b"x" * 0xFFFF,
        b"\xc2\xff\xff\xff\xff\xff" + b"x" * 100,
        b"\x88\x04abcd" * 16,
        b"-----BEGIN PGP SIGNATURE-----\n\n" + b"A" * 200_000 + b"\n-----END PGP SIGNATURE-----\n",
        os.urandom(1000),
        b"\xa3\x01" + b"x" * 1000,
    ],
)
def test_signatures(workspace: Workspace, tree: Path, content: bytes) -> None:
    copy(tree, "mallory").with_name("hello-build.assert.sig").write_bytes(content)
    verified = workspace.verify()
    assert verified.code == 8
    assert "Traceback" not in verified.err


def test_escape_sequences_never_reach_the_terminal(workspace: Workspace, tree: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
    copy(tree, f"m{evil}")
    text = copy(tree, "mallory")
    text.write_bytes(text.read_bytes().replace(b"release: '1.0'", f'release: "{"x"}"'.encode()))
    odd = copy(tree, "odd")
    document = odd.read_text().replace("release: '1.0'", 'release: "\\e[31m\\u202E"')
    odd.write_text(document)
    (workspace.sigs / "builder-keys" / f"k{evil}.asc").write_text("no key")
    for words in ((), ("-v",), ("-v", "--markup")):
        verified = workspace.verify(*words)
        assert verified.code == 8
        for character in "\x07\u202e\x9b":
            assert character not in verified.out + verified.err
        colours = {"\x1b[1;31m", "\x1b[0m"}
        rest = verified.out
        for each in colours:
            rest = rest.replace(each, "")
        assert "\x1b" not in rest + verified.err
    told = workspace.verify("--json")
    assert told.out.isascii()
    assert told.out.isprintable() or set(filter(lambda c: not c.isprintable(), told.out)) == {"\n"}


def test_links_and_pipes(workspace: Workspace, tree: Path) -> None:
    (tree / "linked").symlink_to("alice@example.org")
    path = copy(tree, "piped")
    path.unlink()
    os.mkfifo(path)
    device = copy(tree, "device")
    device.unlink()
    device.symlink_to("/dev/zero")
    verified = workspace.verify()
    assert verified.code == 8
    for words in ("linked is a symbolic link", "not a regular file", "assert is a symbolic link"):
        assert words in verified.out


def test_a_copied_entry_is_the_same_person(workspace: Workspace, tree: Path) -> None:
    copy(tree, "mallory")
    verified = workspace.verify("--persons", "2")
    assert verified.code == 8
    assert "persons with a signature that counts: 1, 2 needed" in verified.out


def test_a_release_under_a_new_name(workspace: Workspace, tree: Path) -> None:
    tree.rename(tree.with_name("2.0"))
    verified = workspace.run("gverify", "-r", "2.0")
    assert verified.code == 8
    assert "signed for another release or package (the document says release 1.0)" in verified.out


def test_git_is_never_run(workspace: Workspace, tree: Path, tmp_path: Path) -> None:
    """A bare repository inside a tree can make git run a program."""
    canary = tmp_path / "canary"
    for folder in (workspace.sigs, tree, tree / "alice@example.org"):
        subprocess.run(["git", "init", "-q", "--bare", folder], check=True)
        with (folder / "config").open("a") as config:
            config.write(f'[core]\n\tfsmonitor = "touch {canary};:"\n\tbare = false\n')
    workspace.verify()
    assert not canary.exists()


def test_a_thousand_signers(workspace: Workspace, tree: Path) -> None:
    for number in range(1000):
        (tree / f"s{number}").mkdir()
    verified = workspace.verify()
    assert verified.code == 8
    assert "more than 1000 names" in verified.out
