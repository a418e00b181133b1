"""Gitian's helpers: its words in, gtarget and gbase at work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gbuild.backends.userns import UsernsBackend
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.contract import Contract

ROOT = Path(__file__).parents[2]

Helper = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The helpers beside commands that run in this test's interpreter; gbase only tells."""
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "libexec", clone / "libexec")
    (clone / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "make-base-vm", clone / "bin")
    for name, line in (
        ("gtarget", f'exec {sys.executable} -m gbuild.cli.gtarget "$@"'),
        ("gbase", "printf '%s\\n' \"$*\""),
    ):
        (clone / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (clone / "bin" / name).chmod(0o755)
    return clone


@pytest.fixture
def helper(clone: Path, store: Store, tmp_path: Path) -> Helper:
    """Run a helper in a folder of its own and check its exit status."""
    folder = tmp_path / "here"
    folder.mkdir()

    def go(name: str, *words: str, code: int = 0, stdin: bytes = b"") -> object:
        done = subprocess.run(
            [clone / name, *words],
            input=stdin,
            capture_output=True,
            cwd=folder,
            env={**os.environ, "GBUILD_STORE": str(store.root)},
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr.decode()
        return done

    return go  # type: ignore[return-value] # Any number of words


@pytest.fixture
def started(store: Store, image: Image, tmp_path: Path, helper: Helper) -> Iterator[None]:
    """A target that the helpers know, as start-target leaves it in their folder."""
    del helper  # made that folder
    backend = UsernsBackend(store=store, environment=os.environ, sink=discard)
    backend.detach(Contract.spec(image, name="gitians"))
    (tmp_path / "here" / "var").mkdir()
    (tmp_path / "here" / "var" / "target").write_text("gitians\n")
    yield
    if "gitians" in [one.name for one in backend.targets()]:
        backend.attach("gitians").stop()


@pytest.mark.usefixtures("started")
class TestTarget:
    def test_words_go_to_a_shell(self, helper: Helper) -> None:
        done = helper("libexec/on-target", "-u", "root", "id -un;", "echo", "$((6*7))")
        assert done.stdout == b"root\n42\n"

    def test_a_script_comes_by_the_input(self, helper: Helper) -> None:
        done = helper("libexec/on-target", "bash", "-s", stdin=b"id -un; exit 5\n", code=5)
        assert done.stdout == b"builder\n"
        assert helper("libexec/on-target", stdin=b"echo here\n").stdout == b"here\n"

    def test_copies(self, helper: Helper, tmp_path: Path) -> None:
        (tmp_path / "here" / "-file").write_text("text")
        helper("libexec/copy-to-target", "-file", "in/")
        helper("libexec/copy-from-target", "in/-file", "out")
        assert (tmp_path / "here" / "out").read_text() == "text"
        (tmp_path / "here" / "folder").mkdir()
        helper("libexec/copy-from-target", "-u", "root", "/home/builder/in/-file", "folder")
        assert (tmp_path / "here" / "folder" / "-file").read_text() == "text"

    def test_the_end(self, helper: Helper, tmp_path: Path) -> None:
        helper("libexec/stop-target", "64", "gitians")
        assert not (tmp_path / "here" / "var" / "target").exists()
        done = helper("libexec/on-target", "true", code=2)
        assert b"no target was started here" in done.stderr


@pytest.mark.parametrize("code", [0, 5])
def test_a_target_that_starts_is_noted(
    clone: Path, helper: Helper, tmp_path: Path, code: int
) -> None:
    stub = clone / "bin" / "gtarget"
    stub.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\"\nexit {code}\n")
    asked = "start --name focal-fossa-i386 --suite focal-fossa --arch i386"
    for more in ([], ["own descriptor.yml"]):
        done = helper("libexec/start-target", "32", "focal-fossa-i386", *more, code=code)
        assert done.stdout.decode() == f"{' '.join((asked, *more))}\n"
    note = tmp_path / "here" / "var" / "target"
    assert (note.read_text() if note.exists() else None) == (
        "focal-fossa-i386\n" if code == 0 else None
    )


@pytest.mark.parametrize(
    "words",
    [["start-target", "64"], ["start-target", "64", "bookworm"], ["copy-to-target", "x"],
     ["on-target", "-u"], ["stop-target", "64", "x", "y"]],
)  # fmt: skip
def test_wrong_words(helper: Helper, words: list[str]) -> None:
    assert b"error: " in helper(f"libexec/{words[0]}", *words[1:], code=2).stderr


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("--suite bookworm --arch amd64", "make --suite bookworm --arch amd64"),
        ("--suite noble --distro ubuntu --arch i386 --lxc",
         "make --suite noble --arch i386 --distro ubuntu --backend lxc"),
        ("--vbox --suite trixie", "make --suite trixie --arch amd64 --backend virtualbox"),
        ("--docker --suite trixie", "make --suite trixie --arch amd64 --backend oci"),
        ("--suite trixie --disksize 20000", "make --suite trixie --arch amd64"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("program", ["bin/make-base-vm", "libexec/make-clean-vm"])
def test_gitians_flags(helper: Helper, program: str, words: str, asked: str) -> None:
    assert helper(program, *words.split()).stdout.decode() == f"{asked}\n"


@pytest.mark.parametrize("words", ["", "--suite", "--kvm --suite trixie", "--disksize x"])
def test_wrong_flags(helper: Helper, words: str) -> None:
    done = helper("bin/make-base-vm", *words.split(), code=2)
    assert b"error: " in done.stderr
    assert b"usage: make-base-vm" in done.stderr
