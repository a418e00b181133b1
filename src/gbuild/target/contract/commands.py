"""Commands in a target: their status, their streams, their end."""

from __future__ import annotations

import hashlib
import queue
import time
from collections.abc import Callable

import pytest

from gbuild.errors import TimedOut
from gbuild.target.backend import Machine
from gbuild.target.contract.base import Contract

_MEBI = 1 << 20


class CommandContract(Contract):
    """Running commands."""

    def test_every_status_comes_back(self, machine: Machine) -> None:
        with self.target(machine) as target:
            for status in (0, 1, 42, 255):
                assert target.run(["sh", "-c", f"exit {status}"]).returncode == status
            assert target.run(["sh", "-c", "kill -TERM $$"]).returncode == -15
            assert target.run(["/no/such/program"]).returncode == 127
            assert target.run(["/etc/passwd"]).returncode == 126

    def test_words_reach_the_command_as_they_are(self, machine: Machine) -> None:
        words = ["", " a  b ", "'", '"', "$HOME", "`id`", "*", "\\", "x\ny", "-n", "ä", ";", "!"]
        with self.target(machine) as target:
            done = target.run(["printf", "%s\\0", *words], user="builder")
        assert done.stdout.decode().split("\0")[:-1] == words

    def test_both_streams_come_apart_and_in_order(self, machine: Machine) -> None:
        """Each line is written when the one before it was delivered."""
        seen = bytearray()
        lines: queue.SimpleQueue[None] = queue.SimpleQueue()

        def note(_: str, data: bytes) -> None:
            seen.extend(data)
            if data.endswith(b"\n"):
                lines.put(None)

        def answer(write: Callable[[bytes], bool]) -> None:
            for _ in range(6):
                lines.get(timeout=60 * self.patience)
                write(b"\n")

        script = "for n in 1 2 3; do echo out$n; read -r; echo err$n >&2; read -r; done"
        with self.target(machine) as target:
            done = target.run(["bash", "-c", script], stdin=answer, on_output=note)
        assert (done.stdout, done.stderr) == (b"out1\nout2\nout3\n", b"err1\nerr2\nerr3\n")
        assert bytes(seen) == b"out1\nerr1\nout2\nerr2\nout3\nerr3\n"

    def test_ten_mebibytes_of_output(self, machine: Machine) -> None:
        size = 10 * _MEBI
        script = f"yes 0123456789abcde | head -c {size}; yes fedcba9876543210 | head -c 99999 >&2"
        with self.target(machine) as target:
            done = target.run(["bash", "-c", script], capture=size)
        wanted = b"0123456789abcde\n" * (size // 16)
        assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(wanted).digest()
        assert len(done.stderr) == 99999

    def test_binary_input_arrives_unchanged(self, machine: Machine) -> None:
        data = bytes(range(256)) * 12_000
        with self.target(machine) as target:
            done = target.run(["cat"], user="builder", stdin=data, capture=len(data))
            assert done.stdout == data
            assert target.run(["cat"], user="builder").stdout == b""

    def test_a_command_that_ignores_its_input_ends(self, machine: Machine) -> None:
        with self.target(machine) as target:
            assert target.run(["true"], stdin=b"x" * 5 * _MEBI).returncode == 0

    def test_a_timeout_kills_the_process_group(self, machine: Machine) -> None:
        with self.target(machine) as target:
            with pytest.raises(TimedOut):
                target.run(["bash", "-c", "sleep 777; true"], user="builder", timeout=1)
            until = time.monotonic() + 30 * self.patience
            while time.monotonic() < until:
                left = target.run(["ps", "-eo", "args"], user="builder").stdout
                if b"sleep 777" not in left:
                    return
                time.sleep(0.1)
        pytest.fail("the command still runs")
