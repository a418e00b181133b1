"""A machine's way out leads outside, and never to this host, whatever frames it sends."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.backends.kvm.outside import WayOut
from gbuild.target.contract import neighbour
from gbuild.target.contract.neighbour import Outside

if shutil.which("passt") is None:
    pytest.skip("passt is not installed", allow_module_level=True)

pytestmark = pytest.mark.root

_OWN = "10.0.2.15"
_GATEWAY = "10.0.2.2"
_SYN, _SYN_ACK = 0x02, 0x12
_PATIENCE = 120.0
_HERE = ("127.0.0.1", "127.1.2.3", "0.0.0.0", _GATEWAY, "169.254.1.1", "169.254.2.1")  # noqa: S104


@pytest.fixture
def folder(open_folder: Path) -> Path:
    """A folder of a user who owns nothing else."""
    os.chown(open_folder, 200000, 200000)
    return open_folder


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A server elsewhere."""
    with neighbour.made() as outside:
        yield outside


@pytest.fixture
def loopback() -> Iterator[tuple[int, list[str]]]:
    """A server on this host's loopback: its port, and who came."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=neighbour.greet, args=(server, seen.append), daemon=True).start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def way(folder: Path, loopback: object) -> Iterator[WayOut]:
    """A way out, made after the server: that is when ports to hand on are looked for."""
    del loopback
    way = WayOut(folder / "out", (200000, 200000))
    yield way
    way.close()


def test_frames_reach_the_outside_and_never_this_host(
    way: WayOut, folder: Path, outside: Outside, loopback: tuple[int, list[str]]
) -> None:
    port, seen = loopback
    with _plugged(folder / "out") as machine:
        for number, address in enumerate((*_HERE, *_own_addresses(), *_gateways())):
            machine.sendall(_frame(_syn(address, port, 40_000 + number)))
        machine.sendall(_frame(_syn(outside.address, outside.port, 50_000)))
        assert _answer(machine, outside.address) == _SYN_ACK
        time.sleep(0.5)
    assert seen == []


def test_it_ends_when_the_machine_goes(folder: Path) -> None:
    way = WayOut(folder / "out", (200000, 200000))
    way.keep()
    assert _named(str(folder))
    _plugged(folder / "out").close()
    _await_end(str(folder))


def test_it_ends_with_whoever_did_not_let_it_go(folder: Path) -> None:
    way = WayOut(folder / "out", (200000, 200000))
    way.close()
    way.close()
    assert _named(str(folder)) == []


def _plugged(path: Path) -> socket.socket:
    """Connect as QEMU does: frames, each after its length (QEMU's "stream" back end)."""
    machine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    machine.settimeout(_PATIENCE)
    machine.connect(str(path))
    return machine


def _own_addresses() -> set[str]:
    """Return the address that this host has on the way to elsewhere, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return set()
        return {probe.getsockname()[0]}


def _gateways() -> set[str]:
    """Return this host's own gateways, which pasta may take for its loopback."""
    rows = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    ways = (bytes.fromhex(row[2])[::-1] for row in rows if row[1] == "00000000")
    return {socket.inet_ntoa(way) for way in ways}


def _frame(packet: bytes) -> bytes:
    """Put an IPv4 packet into an Ethernet frame with its length before it."""
    frame = b"\xff" * 6 + b"\x52\x54\x00\x12\x34\x57" + b"\x08\x00" + packet
    return struct.pack("!I", len(frame)) + frame


def _syn(address: str, port: int, source: int) -> bytes:
    """Return a TCP packet that asks for a connection (RFC 9293, RFC 791)."""
    ends = socket.inet_aton(_OWN) + socket.inet_aton(address)
    bare = struct.pack("!HHIIBBHHH", source, port, 1, 0, 5 << 4, _SYN, 65535, 0, 0)
    summed = _sum(ends + struct.pack("!BBH", 0, 6, len(bare)) + bare)
    segment = bare[:16] + struct.pack("!H", summed) + bare[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + ends
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + segment


def _sum(data: bytes) -> int:
    """Return the checksum of the Internet (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _answer(machine: socket.socket, address: str) -> int:
    """Wait for a TCP packet from an address; return its flags. ARP requests are answered."""
    while True:
        (size,) = struct.unpack("!I", _read(machine, 4))
        frame = _read(machine, size)
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x01":
            machine.sendall(_arp_answer(frame))
        elif frame[12:14] == b"\x08\x00" and frame[26:30] == socket.inet_aton(address):
            flags: int = frame[14 + (frame[14] & 15) * 4 + 13]
            return flags


def _arp_answer(request: bytes) -> bytes:
    mine = b"\x52\x54\x00\x12\x34\x57"
    body = request[14:20] + b"\x00\x02" + mine + request[38:42] + request[22:28] + request[28:32]
    frame = request[6:12] + mine + b"\x08\x06" + body
    return struct.pack("!I", len(frame)) + frame


def _read(machine: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = machine.recv(count - len(data))
        assert piece, "passt closed the connection"
        data += piece
    return data


def _named(word: str) -> list[str]:
    """Return the command lines that hold a word."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended
        if word in words:
            found.append(words)
    return found


def _await_end(word: str) -> None:
    until = time.monotonic() + _PATIENCE
    while left := _named(word):
        assert time.monotonic() < until, left
        time.sleep(0.05)
