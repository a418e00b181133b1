"""The container backend keeps the contract with docker, too: run by root, see test_oci.

Must run in network and mount namespaces of its own: the daemon that it starts makes bridges, rules
of iptables and mounts.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild.errors import BackendFailure
from gbuild.model.image import Image
from gbuild.target.backend import Backend
from gbuild.target.contract.base import CANARY

from . import every_run
from .engine_leftovers import EngineContract

_PATIENCE = 60.0


@dataclass(slots=True)
class Daemon:
    """A dockerd in folders and control groups of its own."""

    folder: Path
    groups: str
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "sock"

    def begin(self) -> None:
        """Start it; returns when it answers."""
        place = self.folder
        words = (
            *("dockerd", f"--host=unix://{self.socket}", f"--pidfile={place}/pid"),
            *(f"--data-root={place}/data", f"--exec-root={place}/exec"),
            *(f"--cgroup-parent={self.groups}", "--exec-opt=native.cgroupdriver=cgroupfs"),
            f"--config-file={place}/none.json",
        )
        (place / "none.json").write_text("{}")
        # Where nobody waits for the dead, a killed containerd would be taken for a running one.
        (place / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        with (place / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            assert self.process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < until, (place / "log").read_text()
            time.sleep(0.05)

    def crash(self) -> None:
        """Kill it; what it runs goes on."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """End it with all it runs, what a crash left running too."""
        if self.process.poll() is not None:
            self.begin()
        self.process.terminate()
        self.process.wait(_PATIENCE)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as trial:
            return trial.connect_ex(str(self.socket)) == 0


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(prefix="gbdocker-", dir="/var/tmp"))
    daemon = Daemon(folder, f"gbdocker{os.getpid()}")
    daemon.begin()
    yield daemon
    daemon.end()
    for top in Path("/sys/fs/cgroup").glob(f"*/{daemon.groups}"):
        for place, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(place).rmdir()
    # Where this host's root is a folder of another's, dockerd leaves a mount on its data.
    subprocess.run(["umount", "--lazy", "--quiet", folder / "data"], check=False)
    shutil.rmtree(folder)


class TestDocker(EngineContract):
    options: ClassVar[Mapping[str, str]] = {"engine": "docker"}
    files: ClassVar = every_run.files(3_000)

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls, daemon: Daemon) -> Mapping[str, str]:
        """A daemon's address, and something that no target may see."""
        more = {"CONTRACT_CANARY": CANARY, "SSH_AUTH_SOCK": f"/{CANARY}"}
        return {**os.environ, **more, "DOCKER_HOST": f"unix://{daemon.socket}"}

    def test_a_daemon_that_dies_in_mid_build_is_told(
        self, backend: Backend, image: Image, daemon: Daemon
    ) -> None:
        """The last one: the target that the others share ends, too."""
        machine = backend.start(self.spec(image, name="dying"))
        self.lose(machine, daemon.crash)
        for use in (machine.stop, lambda: backend.start(self.spec(image, name="late"))):
            with pytest.raises(BackendFailure) as down:
                use()
            assert "systemctl start docker" in (down.value.hint or "")
        daemon.begin()
        machine.stop()
        assert not machine.alive()
        self._assert_gone("dying", backend, "after its daemon")
        with backend.start(self.spec(image, name="again")) as machine:
            assert self.out(machine, "echo here") == "here\n"
