"""LXC: from nothing to the first command over SSH, against the same container made by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from by_hand import SERVER, Hand, hand
from harness import Bench, NotHere, Row, call, timed, tool
from parts import image_of, start

from gbuild.backends.lxc import LxcBackend, profile
from gbuild.host.idmap import current
from gbuild.host.sandbox.policy import KEPT
from gbuild.host.store import Store
from gbuild.image import unpacked
from gbuild.model.event import discard
from gbuild.target.shell import Target

LIMIT, MORE = 1.2, 150.0
"""At most this many times the peer's time, and at most so many milliseconds more."""

_CONFIGURATION = """\
lxc.uts.name = gitian
lxc.rootfs.path = dir:{root}
lxc.idmap = u 0 {first} 65536
lxc.idmap = g 0 {first} 65536
lxc.init.cmd = /bin/sleep infinity
lxc.mount.auto = proc:mixed sys:ro
lxc.tty.max = 0
lxc.pty.max = 1024
lxc.net.0.type = empty
lxc.net.0.flags = up
lxc.no_new_privs = 1
lxc.cap.keep = {kept}
lxc.seccomp.profile = {profile}
"""


def measure(bench: Bench) -> Iterator[Row]:
    """Take both in turn."""
    if os.getuid() != 0:
        raise NotHere("needs root, to start a container by hand without control groups")
    image = image_of(bench)
    store = Store(bench.store)
    backend = LxcBackend(store=store, environment=bench.environment, sink=discard)
    backend.prepare(image)

    def ours() -> float:
        started = time.perf_counter()
        machine = start(backend, image)
        with machine, Target(machine) as target:
            target.run(["true"], check=True)
            return time.perf_counter() - started

    idmap = current(bench.environment)
    with unpacked.tree(image, store=store, idmap=idmap, sink=discard) as tree:
        peer = _Peer(bench.fresh("lxc"), tree, idmap.outside(0))
        ours()
        peer.once()
        pairs = [(1000 * ours(), 1000 * peer.once()) for _ in range(bench.times(20, 3))]
    yield from rows("lxc", "lxc-start, ssh by hand", pairs)


def rows(name: str, by_hand: str, pairs: list[tuple[float, float]]) -> Iterator[Row]:
    """Return the ratio, and the difference in milliseconds."""
    ours, peer = [a for a, _ in pairs], [b for _, b in pairs]
    what = f"{name}: start to first command"
    yield Row(what=what, unit="ms", ours=ours, peer=peer, peer_name=by_hand, limit=LIMIT)
    more = [a - b for a, b in pairs]
    yield Row(what=f"{what}, beyond {by_hand}", unit="ms", ours=more, limit=MORE)


class _Peer:
    """A container of the same tree with the same walls, as a person starts it."""

    def __init__(self, folder: Path, tree: Path, first: int) -> None:
        self._tools = {name: tool(name) for name in ("lxc-start", "lxc-attach", "lxc-stop")}
        folder.chmod(0o755)
        self._folder, self._tree, self._first = folder, tree, first
        self._root = folder / "root"
        (folder / "c").mkdir()
        self._root.mkdir()
        self._hand: Hand = hand(folder / "keys")
        (folder / "profile").write_text(profile.text())
        (folder / "c" / "config").write_text(
            _CONFIGURATION.format(
                root=self._root,
                first=first,
                kept=" ".join(name.lower() for name in KEPT),
                profile=folder / "profile",
            )
        )

    def once(self) -> float:
        upper, work = self._folder / "upper", self._folder / "work"
        work.mkdir()
        self._hand.unpack(upper, owner=self._first)
        try:
            return timed(lambda: self._start(upper, work))
        finally:
            subprocess.run([self._tools["lxc-stop"], *self._name, "-k"], check=False)
            call("umount", self._root)
            shutil.rmtree(upper)
            shutil.rmtree(work)

    @property
    def _name(self) -> tuple[str, ...]:
        return ("-P", str(self._folder), "-n", "c")

    def _start(self, upper: Path, work: Path) -> None:
        layers = f"lowerdir={self._tree},upperdir={upper},workdir={work}"
        call("mount", "-t", "overlay", "-o", layers, "overlay", self._root)
        call(self._tools["lxc-start"], *self._name, "-d")
        attach = " ".join((str(self._tools["lxc-attach"]), *self._name, "--clear-env"))
        self._hand.first_command(f"{attach} -- {SERVER}")
