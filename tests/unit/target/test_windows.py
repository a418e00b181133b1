"""Input that is larger than what a server takes at once arrives whole and in order."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import paramiko
import pytest

from gbuild.target.shell import Target

INPUT = bytes(range(251)) * 20_000
"""Five million bytes: more than two windows of paramiko's server."""


def reads(most: int) -> Callable[[paramiko.Channel, threading.Event], None]:
    def act(channel: paramiko.Channel, over: threading.Event) -> None:
        digest = hashlib.sha256()
        while data := channel.recv(most):
            digest.update(data)
        channel.sendall(digest.hexdigest().encode())
        channel.send_exit_status(0)
        channel.close()

    return act


@pytest.mark.parametrize("most", [3_000, 1 << 20], ids=["small steps", "large steps"])
def test_input_arrives_whole(scripted: Callable[..., Any], most: int) -> None:
    with Target(scripted(reads(most))) as target:
        done = target.run(["x"], stdin=INPUT, timeout=60)
    assert done.returncode == 0
    assert done.stdout.decode() == hashlib.sha256(INPUT).hexdigest()
