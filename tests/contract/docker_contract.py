"""The container backend keeps the contract with docker, too: run by root, see test_oci.

Must run in network and mount namespaces of its own: the daemon that it starts makes bridges, rules
of iptables and mounts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import pytest

from gbuild.backends.oci import OciBackend
from gbuild.target.contract import BackendContract
from gbuild.target.contract.base import CANARY

_PATIENCE = 60.0


class TestDocker(BackendContract):
    kind = OciBackend
    options: ClassVar[Mapping[str, str]] = {"engine": "docker"}
    files = 3_000

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls) -> Iterator[Mapping[str, str]]:
        """A daemon's address, and something that no target may see."""
        with _daemon() as socket:
            more = {"CONTRACT_CANARY": CANARY, "SSH_AUTH_SOCK": f"/{CANARY}"}
            yield {**os.environ, **more, "DOCKER_HOST": f"unix://{socket}"}


@contextmanager
def _daemon() -> Iterator[Path]:
    """Run dockerd in folders and control groups of its own; yield its socket."""
    folder = Path(tempfile.mkdtemp(prefix="gbdocker-", dir="/var/tmp"))
    groups = f"gbdocker{os.getpid()}"
    words = (
        *("dockerd", f"--host=unix://{folder}/sock", f"--pidfile={folder}/pid"),
        *(f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--cgroup-parent={groups}"),
        *("--exec-opt=native.cgroupdriver=cgroupfs", f"--config-file={folder}/none.json"),
    )
    (folder / "none.json").write_text("{}")
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + _PATIENCE
        while not (folder / "sock").exists():
            assert daemon.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)
        yield folder / "sock"
    finally:
        daemon.terminate()
        daemon.wait(_PATIENCE)
        for place in Path("/sys/fs/cgroup").glob(f"*/{groups}"):
            with suppress(OSError):
                place.rmdir()
        shutil.rmtree(folder)
