"""LXD: from nothing to the first command over SSH, and four targets at once.

Both on a daemon of this benchmark's own, with a btrfs pool in a file.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_lxc import rows
from by_hand import SERVER, Hand, hand
from harness import Bench, NotHere, Row, call, timed, tool
from parts import image_of, start

from gbuild.backends.lxd import LxdBackend
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.guest import SETUP
from gbuild.target.receive_tree import TreeLimits
from gbuild.target.shell import Target

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.contract import lxd_server

_MEBI = 1 << 20
_TARGETS, _COMMANDS, _WAIT, _SIZE = 4, 20, 5, 50 * _MEBI
_DISK = 8 << 30


def measure(bench: Bench) -> Iterator[Row]:
    """Take ours and the peer's in turn."""
    if os.getuid() != 0:
        raise NotHere("needs root, to start a daemon of its own")
    tool("lxd")
    image = image_of(bench)
    with lxd_server.running() as server:
        environment = {**bench.environment, **server.variables}
        backend = LxdBackend(store=Store(bench.store), environment=environment, sink=discard)
        backend.prepare(image)
        yield from _starts(bench, backend, image, server.variables)
        yield from _at_once(bench, backend, image)
        backend.discard(image.key)


def _starts(
    bench: Bench, backend: LxdBackend, image: Image, variables: dict[str, str]
) -> Iterator[Row]:
    def ours() -> float:
        started = time.perf_counter()
        machine = start(backend, image, disk=_DISK)
        with machine, Target(machine) as target:
            target.run(["true"], check=True)
            return time.perf_counter() - started

    fingerprint = backend.prepared()[0].place.split()[-1]
    peer = _Peer(bench.fresh("lxd"), fingerprint, variables)
    ours()
    peer.once()
    pairs = [(1000 * ours(), 1000 * peer.once()) for _ in range(bench.times(20, 3))]
    peer.end()
    yield from rows("lxd", "lxc copy, lxc start, ssh by hand", pairs)


class _Peer:
    """A copy of a snapshot that somebody made once, started and reached by hand."""

    def __init__(self, folder: Path, fingerprint: str, variables: dict[str, str]) -> None:
        self._lxc = tool("lxc")
        self._env = {**variables, "LXD_CONF": str(folder)}
        self._hand: Hand = hand(folder / "keys")
        init = "raw.lxc=lxc.init.cmd = /bin/sleep infinity"
        self._call("init", fingerprint, "hand", "--no-profiles", "-s", "default", "-c", init)
        self._call("start", "hand")
        self._call("exec", "hand", "--", *SETUP, stdin=self._hand.files)
        self._call("stop", "--force", "hand")
        self._call("snapshot", "hand", "ready")

    def once(self) -> float:
        name = f"hand-{secrets.token_hex(4)}"
        try:
            return timed(lambda: self._start(name))
        finally:
            self._call("stop", "--force", name)

    def end(self) -> None:
        self._call("delete", "hand")

    def _start(self, name: str) -> None:
        size = f"root,size={_DISK}"
        self._call("copy", "hand/ready", name, "--ephemeral", "-d", size)
        self._call("start", name)
        self._hand.first_command(f"{self._lxc} exec {name} -- {SERVER}", env=self._env)

    def _call(self, *words: str, stdin: bytes = b"") -> None:
        call(self._lxc, *words, env=self._env, stdin=stdin)


def _at_once(bench: Bench, backend: LxdBackend, image: Image) -> Iterator[Row]:
    source = bench.fresh("sent")
    (source / "data").write_bytes(os.urandom(_SIZE))

    def job(number: int) -> None:
        with start(backend, image, f"job{number}", disk=_DISK) as machine, Target(machine) as one:
            user = machine.user
            one.put_tree(source, "tree", user=user)
            for _ in range(_COMMANDS):
                one.run(["true"], user=user, check=True)
            one.run(["sleep", str(_WAIT)], user=user, check=True)
            dest = bench.work / f"got{number}"
            one.get_tree("tree", dest, limits=TreeLimits(), user=user)
            if (dest / "data").stat().st_size != _SIZE:
                raise RuntimeError("not everything came back")
            (dest / "data").unlink()
            dest.rmdir()

    def all_jobs(workers: int) -> float:
        with ThreadPoolExecutor(workers) as beside:
            return timed(lambda: list(beside.map(job, range(_TARGETS))))

    pairs = [(all_jobs(_TARGETS), all_jobs(1)) for _ in range(bench.times(3, 1))]
    yield Row(
        what="four lxd targets at once",
        unit="s",
        ours=[a for a, _ in pairs],
        peer=[b for _, b in pairs],
        peer_name="one after the other",
        limit=0.5,
    )
