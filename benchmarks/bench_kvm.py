"""Virtual machines: from nothing to the first command over SSH, booted and restored.

On a libvirt daemon of this benchmark's own. The peer is QEMU started by hand with the same disk,
kernel, initrd, arguments and order, and reached by the same SSH client.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import Bench, NotHere, Row, call, tool
from parts import image_of

from gbuild.backends.kvm import KvmBackend, order
from gbuild.backends.kvm.domain import CHANNEL, EMULATED, Domain, Shape
from gbuild.backends.kvm.pieces import Pieces
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.target.backend import Limits, Machine, TargetSpec
from gbuild.target.guest import Guest, archive, new_key
from gbuild.target.shell import Target

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.contract import libvirt_daemon

_COLD, _SAVED = 1.5, 0.6
_MEMORY, _CPUS = 1024, 2
_READY, _UP = b"ready\n", b"up\n"


def measure(bench: Bench) -> Iterator[Row]:
    """Take the three in turn."""
    if os.getuid() != 0:
        raise NotHere("needs root, to start a daemon of its own")
    qemu = tool("qemu-system-x86_64")
    image = image_of(bench)
    if not image.environment.boot:
        raise NotHere("the lock has no kernel: glock --boot")
    spec = TargetSpec(
        name="bench", image=image, user="builder",
        limits=Limits(memory=_MEMORY << 20, cpus=_CPUS),
    )  # fmt: skip
    with libvirt_daemon.running() as uri:
        kinds = {
            word: KvmBackend(
                store=Store(bench.store),
                environment=bench.environment,
                sink=discard,
                options={"uri": uri, "acceleration": "tcg", "saved-state": word},
            )
            for word in ("no", "yes")
        }

        def ours(word: str) -> float:
            started = time.perf_counter()
            return _first(kinds[word].start(spec), started)

        peer = _Peer(bench.fresh("kvm"), str(qemu), spec, Store(bench.store))
        ours("yes")  # saves
        turns = [(peer.once(), ours("no"), ours("yes")) for _ in range(bench.times(5, 2))]
    by_hand, cold, saved = zip(*turns, strict=True)
    what = "kvm (emulated): start to first command"
    yield Row(
        what=f"{what}, booted", unit="s", ours=cold, peer=by_hand,
        peer_name="QEMU, ssh by hand", limit=_COLD,
    )  # fmt: skip
    yield Row(
        what=f"{what}, restored", unit="s", ours=saved, peer=cold, peer_name="booted", limit=_SAVED
    )


def _first(machine: Machine, started: float) -> float:
    """Run the first command of a machine; return the seconds since ``started``."""
    with machine, Target(machine) as target:
        target.run(["true"], check=True)
        return time.perf_counter() - started


@dataclass(slots=True)
class _Hand(Machine):
    """A machine that somebody else started."""

    port: int
    host_key: str
    client_key: str
    name: str = "bench"
    user: str = "builder"
    facts: Mapping[str, str] = field(default_factory=dict)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port))

    def cut_network(self) -> None:
        return

    def alive(self) -> bool:
        return True

    def stop(self) -> None:
        return


class _Peer:
    """QEMU as a person starts it, from the same files."""

    def __init__(self, folder: Path, qemu: str, spec: TargetSpec, store: Store) -> None:
        pieces = Pieces(store, os.environ, discard)
        boot = pieces.boot(spec.image)
        self._spec, self._folder, self._qemu = spec, folder, qemu
        self._disk = pieces.disk(spec.image)
        shape = Shape(
            kernel=boot.kernel, initrd=boot.initrd, emulator=Path(qemu), kind="qemu",
            memory=_MEMORY, cpus=_CPUS,
        )  # fmt: skip
        domain = Domain(
            name="x",
            store=str(folder),
            identity="x",
            shape=shape,
            disk=folder / "d",
            console=folder,
        )
        self._shape = shape
        self._channel = socket.socket(socket.AF_UNIX)
        self._arguments = _text(domain, "os/cmdline")

    def once(self) -> float:
        """Start one, run a command, end it; return the seconds to the command's end."""
        started = time.perf_counter()
        overlay, order_socket = self._folder / "disk", self._folder / "order"
        words = ("-f", "qcow2", "-F", "raw", "-b", self._disk, overlay)
        call(tool("qemu-img"), "create", "-q", *words)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(self._words(overlay, order_socket, port))
        try:
            guest = Guest(user="builder", host=new_key(), client=new_key())
            self._talk(order_socket, guest)
            machine = _Hand(port, guest.host.public, guest.client.private)
            return _first(machine, started)
        finally:
            process.kill()
            process.wait()
            self._channel.close()
            for path in (overlay, order_socket):
                path.unlink()

    def _words(self, overlay: Path, order_socket: Path, port: int) -> list[str]:
        door = "user,id=door,restrict=on,ipv6=off,net=169.254.200.0/24,dhcpstart=169.254.200.15"
        return [
            self._qemu, "-machine", "pc", "-accel", "tcg", "-cpu", EMULATED,
            "-m", str(_MEMORY), "-smp", str(_CPUS), "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", str(self._shape.kernel), "-initrd", str(self._shape.initrd),
            "-append", self._arguments,
            "-drive", f"file={overlay},format=qcow2,if=virtio,cache=unsafe",
            "-serial", "null", "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=order,path={order_socket},server=on,wait=off",
            "-device", f"virtserialport,chardev=order,name={CHANNEL}",
            "-object", "rng-random,id=rng,filename=/dev/urandom",
            "-device", "virtio-rng-pci,rng=rng",
            "-netdev", f"{door},hostfwd=tcp:127.0.0.1:{port}-:22",
            "-device", "virtio-net-pci,netdev=door,romfile=",
        ]  # fmt: skip

    def _talk(self, path: Path, guest: Guest) -> None:
        while not path.exists():
            time.sleep(0.005)
        files = archive(guest)
        words = order.text(
            self._spec, detached=False, now=time.time(), seed=secrets.token_hex(64),
            size=len(files),
        )  # fmt: skip
        self._channel = socket.socket(socket.AF_UNIX)  # its end is the machine's end
        self._channel.connect(str(path))
        self._expect(_READY)
        self._channel.sendall(words + files)
        self._expect(_UP)

    def _expect(self, word: bytes) -> None:
        said = b""
        while not said.endswith(word):
            piece = self._channel.recv(1)
            if not piece or re.search(rb"failed: .*\n", said):
                raise RuntimeError(said.decode(errors="replace") or "the machine ended")
            said += piece


def _text(domain: Domain, path: str) -> str:
    found = ET.fromstring(domain.xml()).findtext(path)  # noqa: S314 - our own
    if found is None:
        raise RuntimeError(f"the description has no {path}")
    return found
