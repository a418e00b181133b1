"""LXC containers keep the contract: as root with a bridge, and as an ordinary user with pasta."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from gbuild.target.contract import neighbour

from . import every_run, person, whole_host
from .lxc_contract import TestLxc  # noqa: F401 - collected from here

_HERE = Path(__file__).parent
_USERS_OWN = "network or killed or sudo or detached or limits or users or set_uid or fresh or dies"
"""Tests of what differs without root: ids, control groups, networks; the rest is the same code."""

if shutil.which("lxc-start") is None:
    pytest.skip("lxc is not installed", allow_module_level=True)

whole_host.needed()


@pytest.mark.root
@pytest.mark.slow
def test_an_ordinary_user_sees_the_contract_kept(open_folder: Path) -> None:
    with person.made(open_folder) as someone, neighbour.made() as outside:
        words = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=8")
        names = ("GBUILD_TEST_KILLS", "GBUILD_TEST_STRICT", "GBUILD_TEST_FULL")
        env = {name: os.environ[name] for name in names if name in os.environ}
        done = someone.run(
            *words, _HERE / "lxc_contract.py", *([] if every_run.FULL else ["-k", _USERS_OWN]),
            env={**env, neighbour.VARIABLE: outside.to_json(), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
