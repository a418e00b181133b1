"""The command gtarget, as a person uses it, on a target that runs."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gbuild.backends.userns import UsernsBackend
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.contract import Contract

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "gtarget.schema.json"

Gtarget = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def argv(store: Store) -> Callable[..., list[str]]:
    """Return the words of a gtarget command on the store; shared options come last."""

    def make(command: str, *options: str) -> list[str]:
        module = [sys.executable, "-m", "gbuild.cli.gtarget", command]
        return [*module, "--store", str(store.root), *options]

    return make


@pytest.fixture
def gtarget(argv: Callable[..., list[str]], tmp_path: Path) -> Gtarget:
    """Run a gtarget command and check its exit status."""

    def go(*words: str, code: int = 0, stdin: bytes = b"") -> Any:
        done = subprocess.run(
            argv(*words), input=stdin, capture_output=True, cwd=tmp_path, check=False, timeout=120
        )
        assert done.returncode == code, done.stderr.decode()
        return done

    return go


@pytest.fixture
def answer(gtarget: Gtarget) -> Callable[..., Any]:
    """Run a gtarget command with --json and return the object, checked against the schema."""

    def go(command: str, *words: str, code: int = 0) -> Any:
        document = json.loads(gtarget(command, "--json", *words, code=code).stdout)
        jsonschema.validate(document, json.loads(SCHEMA.read_text()))
        return document

    return go


@pytest.fixture(scope="module")
def name(store: Store, image: Image) -> Iterator[str]:
    """A running detached target."""
    backend = UsernsBackend(store=store, environment=os.environ, sink=discard)
    backend.detach(Contract().spec(image, name="by-hand"))
    yield "by-hand"
    backend.attach("by-hand").stop()


class TestExec:
    def test_streams_and_status_are_the_commands(self, gtarget: Gtarget, name: str) -> None:
        done = gtarget("exec", name, "sh", "-c", "echo out; echo err >&2; exit 9", code=9)
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")

    def test_a_signal_is_128_more(self, gtarget: Gtarget, name: str) -> None:
        gtarget("exec", name, "sh", "-c", "kill -TERM $$", code=143)

    def test_the_user_is_the_build_user_unless_told(self, gtarget: Gtarget, name: str) -> None:
        assert gtarget("exec", name, "id", "-un").stdout == b"builder\n"
        assert gtarget("exec", "--user", "root", name, "id", "-u").stdout == b"0\n"

    def test_options_after_the_name_are_the_commands(self, gtarget: Gtarget, name: str) -> None:
        assert gtarget("exec", name, "printf", "%s|", "--json", "--user", "x").stdout == (
            b"--json|--user|x|"
        )
        assert gtarget("exec", name, "--", "echo", "--help").stdout == b"--help\n"

    def test_bytes_pass_unchanged_into_a_pipe(self, gtarget: Gtarget, name: str) -> None:
        data = bytes(range(256)) * 5000
        assert gtarget("exec", "-i", name, "cat", stdin=data).stdout == data

    def test_input_is_empty_unless_asked_for(self, gtarget: Gtarget, name: str) -> None:
        assert gtarget("exec", name, "cat", stdin=b"secret").stdout == b""

    def test_a_timeout_is_told(self, gtarget: Gtarget, name: str) -> None:
        done = gtarget("exec", "--timeout", "5", name, "sleep", "300", code=7)
        assert b"sleep 300 took longer than 5 seconds" in done.stderr

    def test_a_terminal_is_not_driven(self, argv: Callable[..., list[str]], name: str) -> None:
        shown = _on_a_terminal(argv("exec", name, "printf", "a\\033]0;owned\\007b\\n"))
        assert b"\x1b]0;" not in shown
        assert b"a\\x1b]0;owned\\x07b" in shown

    def test_json_keeps_both_streams(self, answer: Callable[..., Any], name: str) -> None:
        assert answer("exec", name, "sh", "-c", "echo out; exit 3", code=3) == {
            "format": "gbuild.gtarget.exec/1", "status": 3, "stdout": "out\n", "stderr": "",
        }  # fmt: skip


class TestCopies:
    def test_files_and_folders_go_in_and_come_out(
        self, gtarget: Gtarget, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "data").write_bytes(os.urandom(100_000))
        (tmp_path / "text").write_text("hello\n")
        gtarget("put", name, "folder", "text", "/home/builder/in")
        assert gtarget("exec", name, "cat", "in/text").stdout == b"hello\n"
        gtarget("get", name, "/home/builder/in/folder", "back")
        data = (tmp_path / "back" / "data").read_bytes()
        assert data == (tmp_path / "folder" / "data").read_bytes()
        gtarget("get", name, "in/text", "single")
        assert (tmp_path / "single").read_text() == "hello\n"

    def test_nothing_is_overwritten(self, gtarget: Gtarget, name: str, tmp_path: Path) -> None:
        (tmp_path / "here").write_text("mine")
        done = gtarget("get", name, "/etc/passwd", "here", code=3)
        assert b"exists already" in done.stderr
        assert (tmp_path / "here").read_text() == "mine"

    @pytest.mark.parametrize(
        ("path", "why"), [("/nowhere/x", b"No such file"), ("closed", b"Permission denied")]
    )
    def test_what_the_user_cannot_read_is_told(
        self, gtarget: Gtarget, name: str, tmp_path: Path, path: str, why: bytes
    ) -> None:
        gtarget("exec", name, "sh", "-c", "touch closed; chmod 0 closed")
        told = gtarget("get", name, path, "x", code=2).stderr
        assert told.startswith(f"error: builder cannot read {path} in target {name}\n".encode())
        assert why in told
        assert b"hint: " in told
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("folder", ["/root/x", "/etc", "/etc/passwd"])
    def test_where_the_user_cannot_write_is_told(
        self, gtarget: Gtarget, name: str, tmp_path: Path, folder: str
    ) -> None:
        (tmp_path / "text").write_text("hello\n")
        told = gtarget("put", name, "text", folder, code=2).stderr
        brief = f"error: builder cannot write into {folder} in target {name}\n"
        assert told.startswith(brief.encode())
        assert b"hint: " in told
        assert b"umask" not in told

    def test_a_link_out_is_refused(self, gtarget: Gtarget, name: str, tmp_path: Path) -> None:
        gtarget("exec", name, "sh", "-c", "mkdir -p odd && ln -sf /etc/passwd odd/link")
        assert b"a link out of the tree" in gtarget("get", name, "odd", "got", code=6).stderr
        assert list(tmp_path.iterdir()) == []


class TestShell:
    def test_a_shell_on_a_terminal(self, argv: Callable[..., list[str]], name: str) -> None:
        typed = b"echo $((6 * 7))-$(id -un); stty -a; exit 5\n"
        shown = _on_a_terminal(argv("shell", name), typed, code=5)
        assert b"42-builder" in shown

    def test_without_a_terminal_it_says_so(self, gtarget: Gtarget, name: str) -> None:
        done = gtarget("shell", name, code=2)
        assert b"a shell needs a terminal" in done.stderr
        assert f"gtarget exec {name}".encode() in done.stderr


class TestList:
    def test_it_is_listed(self, gtarget: Gtarget, answer: Callable[..., Any], name: str) -> None:
        assert name in gtarget("list").stdout.decode()
        targets = answer("list")["targets"]
        assert [one["state"] for one in targets if one["name"] == name] == ["running"]

    def test_stop_and_prune(
        self, answer: Callable[..., Any], gtarget: Gtarget, store: Store, image: Image
    ) -> None:
        backend = UsernsBackend(store=store, environment=os.environ, sink=discard)
        backend.detach(Contract().spec(image, name="short"))
        assert answer("stop", "short") == {
            "format": "gbuild.gtarget.stop/1", "stopped": ["short"],
        }  # fmt: skip
        assert "target short" not in answer("prune")["removed"]
        assert "short" not in [one["name"] for one in answer("list")["targets"]]


class TestErrors:
    @pytest.mark.parametrize("command", ["exec", "shell", "put", "get", "stop"])
    def test_an_unknown_target(self, gtarget: Gtarget, command: str, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("")
        words = {"exec": ["true"], "put": ["x", "/tmp"], "get": ["x", "y"]}.get(command, [])
        done = gtarget(command, "nowhere", *words, code=2)
        assert b"nowhere" in done.stderr or b"terminal" in done.stderr

    @pytest.mark.parametrize("bad", ["../x", "a b", "-x", "a\nb", ""])
    def test_a_bad_name(self, gtarget: Gtarget, bad: str) -> None:
        gtarget("stop", "--", bad, code=2)

    def test_an_unknown_backend_lists_those_there_are(self, gtarget: Gtarget) -> None:
        assert b"userns" in gtarget("list", "--backend", "none", code=2).stderr

    def test_json_errors_follow_the_schema(self, answer: Callable[..., Any]) -> None:
        assert answer("stop", "nowhere", code=2)["error"]["code"] == 2


def _on_a_terminal(argv: list[str], typed: bytes = b"", *, code: int = 0) -> bytes:
    """Run a command on a terminal of its own and return what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    shown = b""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if not ready:
            if typed and (b"$" in shown or b"#" in shown):
                os.write(terminal, typed)
                typed = b""
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break  # its other end is gone
        if not piece:
            break
        shown += piece
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == code, shown
    return shown
