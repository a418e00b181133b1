"""Commands and trees through a real SSH server."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import BackendFailure, HostFailure, TimedOut
from gbuild.target.backend import Machine
from gbuild.target.command import CommandFailed, PathRefused
from gbuild.target.receive_tree import TreeLimits
from gbuild.target.shell import Target
from gbuild.target.tar_reader import TreeRefused

Make = Callable[..., Any]


@pytest.fixture
def target(machine: Machine) -> Any:
    with Target(machine) as made:
        yield made


@pytest.fixture
def run(target: Target, machine: Machine) -> Callable[..., Any]:
    def go(*argv: str, **options: Any) -> Any:
        return target.run(argv, user=machine.user, **options)

    return go


def test_status_and_both_streams(run: Make) -> None:
    done = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV"])
def test_a_signal_is_a_negative_status(run: Make, name: str) -> None:
    assert run("sh", "-c", f"kill -{name} $$").returncode == -getattr(signal, f"SIG{name}")


@pytest.mark.parametrize(
    "word", ["$(id)", "`id`", "a b", "", "'", '"', "\\", "a\nb", "*", "~", "-n", "é", "\udcff", ";"]
)
def test_words_arrive_as_they_are(run: Make, word: str) -> None:
    done = run("printf", "%s|", word, "end")
    assert done.stdout == word.encode("utf-8", "surrogateescape") + b"|end|"


def test_the_environment_is_the_one_given(run: Make) -> None:
    done = run("env", env={"A": "1 2", "PATH": "/usr/bin:/bin"})
    assert sorted(done.stdout.splitlines()) == [b"A=1 2", b"PATH=/usr/bin:/bin"]


def test_nothing_of_the_caller_is_in_the_login(run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBUILD_CANARY", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere/canary")
    assert b"anary" not in run("env").stdout


def test_input_reaches_the_command(run: Make) -> None:
    data = os.urandom(3 << 20)
    assert run("cat", stdin=data, capture=4 << 20).stdout == data


def test_input_can_be_produced(run: Make) -> None:
    def produce(write: Callable[[bytes], bool]) -> None:
        for number in range(1000):
            assert write(b"%d\n" % number)

    assert run("tail", "-n1", stdin=produce).stdout == b"999\n"


def test_no_input_is_an_empty_input(run: Make) -> None:
    assert run("cat").stdout == b""


def test_a_command_that_does_not_read_its_input_ends(run: Make) -> None:
    assert run("true", stdin=b"x" * (8 << 20)).returncode == 0


def test_a_failing_producer_fails_the_run(run: Make) -> None:
    def produce(write: Callable[[bytes], bool]) -> None:
        write(b"x")
        raise HostFailure("the disk is gone")

    with pytest.raises(HostFailure, match="the disk is gone"):
        run("cat", stdin=produce)


def test_both_streams_come_live_and_much(run: Make) -> None:
    sizes = {"stdout": 0, "stderr": 0}

    def count(stream: str, data: bytes) -> None:
        sizes[stream] += len(data)

    script = "head -c 9000000 /dev/zero & head -c 9000000 /dev/zero >&2; wait"
    done = run("sh", "-c", script, on_output=count, capture=100)
    assert sizes == {"stdout": 9_000_000, "stderr": 9_000_000}
    assert (len(done.stdout), len(done.stderr)) == (100, 100)


def test_output_is_delivered_before_the_end(run: Make) -> None:
    delivered = threading.Event()

    def answer(write: Callable[[bytes], bool]) -> None:
        write(b"yes\n" if delivered.wait(60) else b"no\n")

    script = "echo a; read answer; echo $answer"
    done = run("sh", "-c", script, stdin=answer, on_output=lambda *_: delivered.set())
    assert done.stdout == b"a\nyes\n"


def test_a_timeout_says_what_took_long(run: Make) -> None:
    started = time.monotonic()
    with pytest.raises(TimedOut, match="sleep 600 took longer than 5 seconds"):
        run("sleep", "600", timeout=5)
    assert time.monotonic() - started < 300


def test_a_daemon_that_keeps_the_output_open_does_not_hold_us(run: Make) -> None:
    started = time.monotonic()
    done = run("sh", "-c", "(sleep 300 &) ; echo done")
    assert done.stdout == b"done\n"
    assert time.monotonic() - started < 200


def test_a_frozen_server_ends_with_the_timeout(machine: Any, run: Make) -> None:
    run("true")
    machine.freeze()
    started = time.monotonic()
    with pytest.raises(TimedOut):
        run("true", timeout=1)
    assert time.monotonic() - started < 300


def test_a_killed_server_is_a_lost_connection(machine: Any, run: Make) -> None:
    with pytest.raises(BackendFailure, match="lost the connection to target local"):
        run("sh", "-c", "echo here; exec sleep 600", on_output=lambda *_: machine.stop())


def test_after_a_lost_connection_a_new_one_is_made(machine: Any, target: Target, run: Make) -> None:
    run("true")
    (connection,) = target._connections.values()
    machine.kill_servers()
    until = time.monotonic() + 120
    while connection.active and time.monotonic() < until:
        time.sleep(0.01)
    assert run("true").returncode == 0


def test_several_threads_share_a_target(run: Make) -> None:
    results: list[bytes] = []

    def one(number: int) -> None:
        results.append(run("sh", "-c", f"sleep 0.2; echo {number}").stdout)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [b"0\n", b"1\n", b"2\n", b"3\n"]


def test_check_turns_a_status_into_an_error(run: Make) -> None:
    with pytest.raises(CommandFailed) as caught:
        run("sh", "-c", "echo why >&2; exit 3", check=True)
    assert caught.value.brief == "sh in target local ended with status 3"
    assert caught.value.details[-1] == "why"


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("RekeyLimit=1M",),
        ("Ciphers=aes128-ctr",),
        ("Ciphers=aes128-ctr", "RekeyLimit=1M", "MACs=hmac-sha2-256"),
        ("KexAlgorithms=ecdh-sha2-nistp256",),
    ],
)
def test_trees_survive_both_ways(make_machine: Make, tmp_path: Path, options: Any) -> None:
    """Also while the server changes the keys again and again, and with older ciphers."""
    machine = make_machine(*options)
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "big").write_bytes(os.urandom(12 << 20))
    for number in range(200):
        (source / "deep" / "er" / f"{number} é").write_bytes(os.urandom(number * 37))
    (source / "deep" / "link").symlink_to("er/7 é")
    with Target(machine) as target:
        target.put_tree(source, str(tmp_path / "there"), user=machine.user, mtime=1_400_000_000)
        target.get_tree(
            str(tmp_path / "there"), tmp_path / "back", limits=TreeLimits(), user=machine.user
        )
    subprocess.run(["diff", "-r", "--no-dereference", source, tmp_path / "back"], check=True)
    assert {path.lstat().st_mtime for path in (tmp_path / "there").rglob("*")} == {1_400_000_000}


def test_files_are_put_with_two_modes_whatever_the_umask(
    target: Target, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o700)
    (tmp_path / "text").write_text("x")
    (tmp_path / "text").chmod(0o600)
    files = [(tmp_path / "tool", "bin/tool"), (tmp_path / "text", "text")]
    target.put_files(files, str(tmp_path / "dest"), user=machine.user)
    found = {p.name: oct(p.stat().st_mode & 0o7777) for p in (tmp_path / "dest").rglob("*")}
    assert found == {"bin": "0o755", "tool": "0o755", "text": "0o644"}


def test_links_come_as_what_they_point_to_when_asked(
    target: Target, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").write_text("content")
    (tmp_path / "out" / "link").symlink_to("../elsewhere")
    os.link(tmp_path / "elsewhere", tmp_path / "out" / "hard")
    target.get_tree(
        str(tmp_path / "out"),
        tmp_path / "got",
        limits=TreeLimits(),
        user=machine.user,
        dereference=True,
    )
    assert not (tmp_path / "got" / "link").is_symlink()
    assert (tmp_path / "got" / "link").read_text() == "content"
    assert (tmp_path / "got" / "hard").read_text() == "content"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_an_odd_tree_is_refused(
    target: Target, machine: Machine, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "out").mkdir()
    make(tmp_path / "out" / "odd")
    with pytest.raises(TreeRefused, match="/odd"):
        target.get_tree(
            str(tmp_path / "out"), tmp_path / "got", limits=TreeLimits(), user=machine.user
        )
    assert not (tmp_path / "got").exists()


def test_a_folder_that_is_not_there_is_told(
    target: Target, machine: Machine, tmp_path: Path
) -> None:
    there = str(tmp_path / "no")
    with pytest.raises(PathRefused) as caught:
        target.get_tree(there, tmp_path / "got", limits=TreeLimits(), user=machine.user)
    assert caught.value.brief == f"{machine.user} cannot read {there} in target local"
    assert caught.value.details == (f"tar: {there}: Cannot open: No such file or directory",)


def test_a_single_file_can_be_fetched(target: Target, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "-odd name").write_text("x")
    target.get_file(
        str(tmp_path / "-odd name"), tmp_path / "got", limits=TreeLimits(), user=machine.user
    )
    assert (tmp_path / "got").read_text() == "x"


def test_an_unwritable_destination_in_the_target_is_told(
    target: Target, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    there = str(tmp_path / "file")
    with pytest.raises(PathRefused) as caught:
        target.put_files([(tmp_path / "file", "x")], there, user=machine.user)
    assert caught.value.brief == f"{machine.user} cannot write into {there} in target local"
    assert any("File exists" in line for line in caught.value.details)
