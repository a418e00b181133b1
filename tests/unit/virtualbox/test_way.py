"""The way into a machine: what ssh says is heard, and what it did not begin is begun again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gbuild.backends.virtualbox import way as module
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure
from gbuild.host.stream import last_words


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    """A way by a program of the test's, ``ssh`` beside its folder."""
    monkeypatch.setattr(module, "which", lambda *_, **__: tmp_path / "ssh")
    return Way(port=1, key=tmp_path / "key", known=tmp_path / "known", alias="x")


def _ssh(way: Way, script: str) -> None:
    path = way.key.with_name("ssh")
    path.write_text(f"#!/bin/sh\ncd {path.parent}\n{script}\n")
    path.chmod(0o755)


def test_a_connection_that_was_not_made_is_made_again(way: Way) -> None:
    _ssh(
        way,
        "[ -e tried ] && exec echo here\n: > tried\n"
        "echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255",
    )
    assert way.run(("true",)).stdout == b"here\n"


@pytest.mark.parametrize(
    ("says", "brief", "tries"),
    [
        ("client_loop: send disconnect: Broken pipe", "does not answer any more", 1),
        ("Connection timed out during banner exchange", "does not answer any more", 3),
        ("root@127.0.0.1: Permission denied (publickey).", "refuses the key", 1),
    ],
)
def test_what_may_have_begun_is_not(way: Way, says: str, brief: str, tries: int) -> None:
    _ssh(way, f"echo x >> tried; echo '{says}' >&2; exit 255")
    with pytest.raises(BackendFailure, match=brief) as caught:
        way.run(("true",))
    assert caught.value.details == (f"ssh: {says}",)
    assert len(way.key.with_name("tried").read_text().split()) == tries


def test_the_last_words_of_a_stream_are_heard(way: Way) -> None:
    _ssh(way, "cat; for n in 1 2 3 4 5 6 7 8 9; do echo line $n >&2; done; exit 255")
    heard = last_words()
    with way.open(("true",), heard) as stream:
        stream.sendall(b"x")
        assert stream.recv(1) == b"x"
    until = time.monotonic() + 60
    while "ssh ended with status 255" not in heard and time.monotonic() < until:
        time.sleep(0.01)
    assert list(heard) == [*(f"ssh: line {n}" for n in range(3, 10)), "ssh ended with status 255"]
