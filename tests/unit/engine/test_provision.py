"""What dpkg says of a person's machine after apt, whose status says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from gbuild.engine.joblog import JobLog
from gbuild.engine.provision import Provisioned, provision
from gbuild.errors import BackendFailure
from gbuild.host.process import Completed
from gbuild.host.store import Store
from gbuild.model.drift import Installed
from gbuild.model.event import discard
from gbuild.model.lock import Environment
from gbuild.target.shell import Target

from .conftest import Locked

PLAIN = "make\t1.0-1\tamd64\tinstall ok installed"


class Machine:
    """Answers dpkg-query with one list after the other; everything else fails."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.commands: list[str] = []
        self.files: list[str] = []

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        self.commands.append(argv[0])
        if argv[0] == "dpkg-query":
            return Completed(tuple(argv), 0, f"{self.answers.pop(0)}\n".encode(), b"")
        return Completed(tuple(argv), 100, b"", b"")

    def put_files(self, files: Sequence[tuple[Path, str]], *_: object, **__: object) -> None:
        self.files += [name for _, name in files]


class Files:
    """A store that has every blob."""

    def verified(self, sha256: str) -> Path:
        return Path(sha256)


@pytest.fixture
def environment(locked: Locked) -> Environment:
    return next(iter(locked(packages=("make",)).environments))


def provisioned(machine: Machine, environment: Environment, folder: Path) -> Provisioned:
    with JobLog(folder / "log", label="x") as log:
        return provision(
            cast("Target", machine),
            environment,
            store=cast("Store", Files()),
            accept_drift=True,
            log=log,
            sink=discard,
            label="x",
        )


@pytest.mark.parametrize("state", ["installed", "triggers-awaited", "triggers-pending"])
def test_a_package_that_is_there(state: str, environment: Environment, tmp_path: Path) -> None:
    machine = Machine(*[f"make\t1.0-1\tamd64\thold ok {state}"] * 2)
    found = provisioned(machine, environment, tmp_path)
    assert found.installed == (Installed(name="make", arch="amd64", version="1.0-1"),)
    assert not found.drift
    assert machine.commands == ["dpkg-query", "dpkg-query"]


@pytest.mark.parametrize(
    "words",
    [
        "install ok half-configured",
        "install ok half-installed",
        "install ok unpacked",
        "install reinstreq installed",
        "deinstall reinstreq half-installed",
    ],
)
def test_a_package_that_is_half_there_is_put_on_the_machine_and_refused_if_it_stays_so(
    words: str, environment: Environment, tmp_path: Path
) -> None:
    half = f"make\t1.0-1\tamd64\t{words}"
    machine = Machine(half, half)
    with pytest.raises(BackendFailure) as caught:
        provisioned(machine, environment, tmp_path)
    assert f"make:amd64 1.0-1: {words.partition(' ')[2]}" in caught.value.brief
    assert machine.files == ["make_1.0-1_amd64.deb"]
    found = provisioned(Machine(half, PLAIN), environment, tmp_path)
    assert not found.drift


@pytest.mark.parametrize("state", ["config-files", "not-installed"])
def test_a_package_that_is_gone(state: str, environment: Environment, tmp_path: Path) -> None:
    gone = f"{PLAIN}\nvim\t1.0-1\tamd64\tdeinstall ok {state}"
    assert not provisioned(Machine(gone, gone), environment, tmp_path).drift
