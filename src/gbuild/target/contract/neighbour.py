"""A server that is not this host: in a network of its own, joined to this host's by a cable.

As a program, ``neighbour.py ADDRESS FILE``, it serves on every address of the network it is in,
greets every guest, and writes a line into FILE for every connection and datagram.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess  # noqa: TID251 - a server that runs beside the tests
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gbuild.host.process import run

VARIABLE = "GBUILD_TEST_OUTSIDE"
"""An :class:`Outside` as JSON, made by root for the tests of an ordinary user."""

GREETING = b"hello"
_NET_ADMIN = 12
_PREFIX, _PREFIX6 = "198.18.{}.", "2001:2:0:{:x}::"
"""Of the blocks for tests of devices (RFC 2544, RFC 5180): no real network uses them.

The third number is one that no cable has, so that suites side by side do not meet.
"""
_NUMBERS = 250
_CABLE = "gbcontract{}"

PORT = 8077


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A server that targets with a network reach; ``record`` is what it saw, a line for each."""

    address: str
    address6: str
    port: int
    record: Path

    def seen(self) -> int:
        """Return how many connections and datagrams have arrived."""
        return len(self.record.read_text().splitlines())

    def to_json(self) -> str:
        """Return it for :data:`VARIABLE`."""
        return json.dumps([self.address, self.address6, self.port, str(self.record)])


def given() -> Outside | None:
    """Return the one that the environment names."""
    if VARIABLE not in os.environ:
        return None
    address, address6, port, record = json.loads(os.environ[VARIABLE])
    return Outside(address=address, address6=address6, port=port, record=Path(record))


def can_make() -> bool:
    """Say whether this process may make networks (CAP_NET_ADMIN, and a root that has it)."""
    status = Path("/proc/self/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith("CapEff:"))
    return os.geteuid() == 0 and bool(int(line.split()[1], 16) >> _NET_ADMIN & 1)


@contextmanager
def made() -> Iterator[Outside]:
    """Make a neighbour of this host for a while. Needs root, unshare and ip."""
    with tempfile.NamedTemporaryFile(prefix="gbuild-outside-") as file:
        record = Path(file.name)
        record.chmod(0o644)
        words = ["unshare", "--net", sys.executable, "-I", __file__, str(record)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, cwd="/") as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                address, address6 = _join(process.pid)
                yield Outside(address=address, address6=address6, port=PORT, record=record)
            finally:
                process.kill()  # its network goes with it, and with that the cable


def _join(pid: int) -> tuple[str, str]:
    """Lay a cable to the network of a process; return the addresses of its far end."""
    number = _laid(pid)
    prefix, prefix6 = _PREFIX.format(number), _PREFIX6.format(number)
    near = _CABLE.format(number)
    inside = ("nsenter", "-t", str(pid), "-n", "ip")
    for words in (
        ("ip", "addr", "add", f"{prefix}1/24", "dev", near),
        ("ip", "addr", "add", f"{prefix6}1/64", "dev", near, "nodad"),
        (*inside, "addr", "add", f"{prefix}2/24", "dev", "far"),
        (*inside, "addr", "add", f"{prefix6}2/64", "dev", "far", "nodad"),
        ("ip", "link", "set", near, "up"),
        (*inside, "link", "set", "far", "up"),
    ):
        run(words)
    return f"{prefix}2", f"{prefix6}2"


def _laid(pid: int) -> int:
    """Lay a cable whose number no other suite has now; return the number."""
    why = b""
    for step in range(_NUMBERS):
        number = (pid + step) % _NUMBERS + 1
        ends = (_CABLE.format(number), "type", "veth", "peer", "far", "netns", str(pid))
        done = run(("ip", "link", "add", *ends), check=False)
        if done.returncode == 0:
            return number
        why = done.stderr
    raise OSError(f"no cable could be laid: {why.decode(errors='replace').strip()}")


def _serve(record: Path) -> None:
    lock = threading.Lock()

    def note(text: str) -> None:
        with lock, record.open("a") as file:
            file.write(f"{text}\n")

    tcp = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", PORT))
    threading.Thread(target=greet, args=(tcp, note), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        _, sender = udp.recvfrom(4096)
        note(f"datagram from {sender[0]}")


def greet(server: socket.socket, note: object) -> None:
    """Greet everybody who connects, after noting it."""
    assert callable(note)
    while True:
        try:
            guest, sender = server.accept()
        except OSError:
            return  # closed: the test is over
        note(f"connection from {sender[0]}")
        with guest:
            guest.sendall(GREETING)
            time.sleep(0.01)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
