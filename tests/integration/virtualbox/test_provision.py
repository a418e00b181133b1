"""A lock's packages on a machine that has others: put on it, compared, refused or recorded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gbuild.backends.virtualbox import VirtualBoxBackend
from gbuild.engine.jobs import run_jobs
from gbuild.engine.prepare import Parts
from gbuild.engine.provision import UNKNOWN, Drifted
from gbuild.engine.workspace import Workspace
from gbuild.host.idmap import IdMap
from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.lock import Package
from gbuild.model.options import BuildOptions
from gbuild.model.plan import CutNetwork, GetTree, Job, MakeFolders, Plan, RunScript

from .conftest import image_of
from .person import Person

_HOME = "/home/debian"


def test_locked_packages_are_put_on_the_machine_and_drift_is_refused_unless_accepted(
    backend: VirtualBoxBackend, person: Person, tmp_path: Path, events: list[Event]
) -> None:
    store = backend.store
    locked = (
        _package(tmp_path, store, "gbuild-one", "2.0-1", "Depends: gbuild-two (>= 1:3)\n"),
        _package(tmp_path, store, "gbuild-two", "1:3.1", ""),
    )
    image = image_of(*locked)
    parts = Parts(
        store=store,
        backend=backend,
        idmap=IdMap(uids=(), gids=(), label=""),
        environment=person.environment,
        sink=events.append,
    )
    workspace = Workspace(tmp_path)
    workspace.open_build(keep=False)
    images = {"none-amd64": image}
    plan = Plan(name="x", jobs=(_job(),), digest="")
    with pytest.raises(Drifted, match="none-amd64: the machine differs from the lock") as caught:
        run_jobs(plan, images, BuildOptions(), parts, workspace)
    assert caught.value.exit_code == 1
    assert "missing" not in caught.value.brief  # both were put on it
    assert any("is not in the lock" in line for line in caught.value.details)
    assert "--accept-drift" in str(caught.value.hint)
    assert person.state("Gitian-none-amd64") == "poweroff"

    options = BuildOptions(accept_drift=True)
    (outcome,) = run_jobs(plan, images, options, parts, workspace)
    assert (outcome.out / "said").read_text() == "gbuild-one 2.0-1\ngbuild-two 1:3.1\ngitian\n"
    assert outcome.facts["drift"].endswith("beyond the lock")
    assert outcome.base is not None
    assert outcome.image == ""
    lines = outcome.base.splitlines()
    assert f"{locked[1].sha256}  gbuild-two_1%3a3.1_all.deb" in lines
    assert f"{locked[0].sha256}  gbuild-one_2.0-1_all.deb" in lines
    assert any(line.startswith(f"{UNKNOWN}  dpkg_") for line in lines)
    assert lines == sorted(lines, key=lambda line: line[66:].encode())
    warnings = [event.text for event in events if event.kind == "warning"]
    assert any("differs from the lock" in text for text in warnings)
    assert not list(tmp_path.glob("build/*/finished.json"))  # never taken up again


def _package(folder: Path, store: Store, name: str, version: str, more: str) -> Package:
    """Make a package of nothing, and lock it."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <n@example>\n"
        f"{more}Description: nothing\n"
    )
    deb = folder / f"{name}.deb"
    run(("dpkg-deb", "--root-owner-group", "-b", tree, deb))
    data = deb.read_bytes()
    return Package(
        name=name,
        arch="all",
        version=version,
        sha256=store.add(data),
        size=len(data),
        archive="debian",
        path=f"pool/{hashlib.sha256(data).hexdigest()}.deb",
    )


def _job() -> Job:
    script = (
        "dpkg-query -W -f '${Package} ${Version}\\n' 'gbuild-*' > out/said; hostname >> out/said\n"
    )
    return Job(
        label="none-amd64",
        environment="none-amd64",
        environment_digest="",
        user="debian",
        network=False,
        sudo=False,
        scratch="tmpfs",
        mtime=1,
        steps=(
            MakeFolders(paths=(f"{_HOME}/out",)),
            CutNetwork(),
            RunScript(argv=("bash", "-x"), script=script.encode()),
            GetTree(source=f"{_HOME}/out", role="out", folder="out"),
        ),
    )
