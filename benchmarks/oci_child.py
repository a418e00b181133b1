"""Measures podman as the ordinary user who runs this: ``oci_child.py RECIPE``, see bench_oci."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

from by_hand import SERVER, Hand, hand  # noqa: E402 - needs the path above
from harness import call, timed  # noqa: E402
from parts import start  # noqa: E402

from gbuild.backends.oci import OciBackend, layout  # noqa: E402
from gbuild.host.store import Store  # noqa: E402
from gbuild.model.event import discard  # noqa: E402
from gbuild.model.image import Image  # noqa: E402
from gbuild.target.shell import Target  # noqa: E402

_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "SETFCAP"),
)
_FLAGS = (
    *("--rm", "--detach", "--pull=never", "--network=none", "--hostname=gitian", "--no-hosts"),
    *("--cap-drop=ALL", *(f"--cap-add={name}" for name in _CAPABILITIES)),
    *("--security-opt=no-new-privileges", "--log-driver=none", "--systemd=false"),
    *("--tmpfs=/home", "--tmpfs=/tmp", "--tmpfs=/var/tmp"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to measure: an image, a folder to work in, how often."""

    image: Image
    folder: Path
    times: int


def main() -> None:
    """Print pairs of milliseconds: ours, and the peer's right after it."""
    recipe: Recipe = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301 - our parent
    store = Store(recipe.folder / "store")
    blob = store.blob(recipe.image.sha256)
    blob.parent.mkdir()
    blob.symlink_to(recipe.image.tar)
    backend = OciBackend(store=store, environment=os.environ, sink=discard)
    backend.prepare(recipe.image)
    peer = _Peer(backend, recipe)

    def ours() -> float:
        started = time.perf_counter()
        machine = start(backend, recipe.image)
        with machine, Target(machine) as target:
            target.run(["true"], check=True)
            return time.perf_counter() - started

    ours()
    peer.once()
    print(json.dumps([(1000 * ours(), 1000 * peer.once()) for _ in range(recipe.times)]))
    for one in backend.prepared():
        backend.discard(one.key)


class _Peer:
    """A container of the same image in the same storage, as a person starts it."""

    def __init__(self, backend: OciBackend, recipe: Recipe) -> None:
        self._engine = backend.engine
        self._image = layout.describe(recipe.image).identity
        self._hand: Hand = hand(recipe.folder / "keys")
        self._files = recipe.folder / "files"
        self._hand.unpack(self._files, owner=os.getuid())
        self._env: Mapping[str, str] = {**os.environ, **backend.engine.environment}

    def once(self) -> float:
        try:
            return timed(self._start)
        finally:
            call(*self._engine.argv("rm", "--force", "--time=0", "peer"), env=self._env)

    def _start(self) -> None:
        volume = f"--volume={self._files}/run/gbuild:/run/gbuild:ro"
        words = ("run", "--name=peer", "--tmpfs=/run/sshd:mode=0755", volume, *_FLAGS, self._image)
        call(*self._engine.argv(*words, "sleep", "infinity"), env=self._env)
        enter = " ".join(self._engine.argv("exec", "--interactive", "peer"))
        self._hand.first_command(f"{enter} {SERVER}", env=self._env)


if __name__ == "__main__":
    main()
