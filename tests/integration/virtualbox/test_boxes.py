"""A Vagrant box becomes a machine that builds, and a machine becomes a box."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gbuild.backends.userns import UsernsBackend
from gbuild.backends.virtualbox import VirtualBoxBackend
from gbuild.errors import BackendFailure, UsageFailure
from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.target.backend import TargetSpec
from gbuild.target.shell import Target

from .conftest import image_of
from .person import PROGRAM, Person

_SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "schemas" / "gbase.schema.json"


def test_a_box_with_vagrants_user_becomes_a_machine_and_a_box_again(
    person: Person, backend: VirtualBoxBackend, tmp_path: Path
) -> None:
    person.make("Foreign", user="vagrant", port=0)
    foreign = tmp_path / "foreign.box"
    options = {**person.options, "port": str(person.port), "box-key": str(person.key)}
    giving = _backend(backend, {**options, "machine": "Foreign"})
    giving.export_machine(foreign, label="any-any")
    taking = _backend(backend, options)
    assert taking.import_machine(foreign, label="boxed-amd64") == "Gitian-boxed-amd64"
    info = person.manage("showvminfo", "Gitian-boxed-amd64", "--machinereadable")
    assert info.count("Forwarding(") == 1
    assert f'"guestssh,tcp,127.0.0.1,{person.port},,22"' in info
    assert "SharedFolder" not in info
    assert ('VMState="poweroff"' in info, 'SnapshotName="Gitian-Clean"' in info) == (True, True)
    spec = TargetSpec(name="boxed", image=image_of(suite="boxed"), user="debian")
    with taking.start(spec) as machine, Target(machine) as target:
        assert target.run(["hostname"], user="debian").stdout == b"gitian\n"
    with pytest.raises(UsageFailure, match="has a machine called Gitian-boxed-amd64 already"):
        taking.import_machine(foreign, label="boxed-amd64")

    words = [f"--backend-option={key}={value}" for key, value in options.items()]
    words += ["--backend=virtualbox", "--store", str(tmp_path / "store"), "--json"]
    own = tmp_path / "own.box"
    answer = _gbase(person, "export", str(own), "--suite=boxed", "--arch=amd64", *words)
    assert (answer["label"], answer["file"]) == ("boxed-amd64", str(own))
    answer = _gbase(person, "import", str(own), "--suite=again", "--arch=amd64", *words)
    assert answer["machine"] == "Gitian-again-amd64"
    assert person.state("Gitian-again-amd64") == "poweroff"
    assert list((tmp_path / "store").glob("box-*")) == []


def test_nothing_is_left_of_a_box_that_lets_nobody_in(
    person: Person, backend: VirtualBoxBackend, tmp_path: Path
) -> None:
    person.make("Closed", user="vagrant", port=0)
    closed = tmp_path / "closed.box"
    options = {**person.options, "port": str(person.port)}
    _backend(backend, {**options, "machine": "Closed"}).export_machine(closed, label="any-any")
    with pytest.raises(BackendFailure, match="refuses the key"):
        _backend(backend, options).import_machine(closed, label="closed-amd64")
    assert "Gitian-closed-amd64" not in person.manage("list", "vms")
    assert closed.exists()


def test_a_backend_that_makes_its_machines_itself_says_so(tmp_path: Path) -> None:
    backend = UsernsBackend(store=Store(tmp_path / "s"), environment={}, sink=discard)
    with pytest.raises(UsageFailure, match="the backend userns makes its machines from images"):
        backend.import_machine(tmp_path / "x.box", label="a-b")
    with pytest.raises(UsageFailure, match="the backend userns has no machine of a-b"):
        backend.export_machine(tmp_path / "x.box", label="a-b")


def test_no_image_is_made_for_a_backend_that_cannot_work(tmp_path: Path) -> None:
    words = ["make", "--suite=bookworm", "--arch=amd64", "--backend=virtualbox", "--offline"]
    words += ["--backend-option=program=/no/VBoxManage", "--store", str(tmp_path / "store")]
    words += ["--workspace", str(tmp_path)]
    done = run((sys.executable, "-m", "gbuild.cli.gbase", *words), check=False)
    assert done.returncode == 3
    assert b"/no/VBoxManage is not a program" in done.stderr
    assert not (tmp_path / "result").exists()


def _gbase(person: Person, *words: str) -> dict[str, Any]:
    """Run gbase as a person does; its answer follows the schema."""
    done = run((sys.executable, "-m", "gbuild.cli.gbase", *words), env=person.environment)
    answer: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads(_SCHEMA.read_text()))
    return answer


def _backend(like: VirtualBoxBackend, options: dict[str, str]) -> VirtualBoxBackend:
    assert options["program"] == str(PROGRAM)
    return VirtualBoxBackend(
        store=like.store, environment=like.environment, sink=like.sink, options=options
    )
