"""The container backend keeps the contract: podman without root, and docker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gbuild.target.contract import neighbour

from . import every_run, person, whole_host

_HERE = Path(__file__).parent
_PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q")
_OF_ITS_OWN = ("unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_ENGINES_OWN = "network or killed or prune or root_folder or detached or limits or daemon"
"""Tests of what the engine does; the rest is above it, and the same with podman."""

if shutil.which("podman") is None:
    pytest.skip("podman is not installed", allow_module_level=True)

if os.getuid() != 0:
    from .oci_contract import TestOci  # noqa: F401 - collected from here


@pytest.mark.root
@pytest.mark.slow
def test_an_ordinary_user_sees_the_contract_kept(open_folder: Path) -> None:
    with person.made(open_folder) as someone, neighbour.made() as outside:
        words = (*_PYTEST, "--durations=15")
        env = {**_environment(), neighbour.VARIABLE: outside.to_json()}
        done = someone.run(*words, _HERE / "oci_contract.py", env=env)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dockerd") is None, reason="dockerd is not installed")
def test_docker_keeps_the_contract() -> None:
    whole_host.needed()
    words = (*_OF_ITS_OWN, *_PYTEST, "--durations=5", _HERE / "docker_contract.py")
    done = subprocess.run(
        [*words, *([] if every_run.FULL else ["-k", _ENGINES_OWN])],
        env={"PATH": os.environ["PATH"], **_environment()},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _environment() -> dict[str, str]:
    names = ("GBUILD_TEST_KILLS", "GBUILD_TEST_STRICT", "GBUILD_TEST_FULL")
    env = {"GBUILD_TEST_KILLS": "4", "PYTHONDONTWRITEBYTECODE": "1"}
    return env | {name: os.environ[name] for name in names if name in os.environ}
