"""A cluster of two members places targets, says where they are, and loses one of the two."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gbuild.backends.lxd import LxdBackend
from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.target.backend import Limits, Machine, TargetSpec
from gbuild.target.shell import Target

from . import lxd_cluster
from .lxd_cluster import Cluster

if shutil.which("lxd") is None:
    pytest.skip("lxd is not installed", allow_module_level=True)

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.backend("lxd")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with lxd_cluster.running() as cluster:
        yield cluster


def _backend(cluster: Cluster, store: Store, told: list[Event], **options: str) -> LxdBackend:
    environment = {**os.environ, "LXD_DIR": str(cluster.first.folder)}
    return LxdBackend(store=store, environment=environment, sink=told.append, options=options)


def _spec(cluster: Cluster, image: Image, name: str) -> TargetSpec:
    limits = Limits(memory=256 << 20, disk=64 << 20)
    return TargetSpec(name=f"{cluster.word}-{name}", image=image, user="builder", limits=limits)


def _hostname(machine: Machine) -> str:
    with Target(machine) as target:
        return target.run(["hostname"], user="builder").stdout.decode().strip()


def test_the_cluster_places_several_targets_at_once(
    cluster: Cluster, store: Store, image: Image
) -> None:
    backend = _backend(cluster, store, [])
    backend.prepare(image)
    with ThreadPoolExecutor(4) as beside:
        starts = [beside.submit(backend.start, _spec(cluster, image, f"many{n}")) for n in range(4)]
        machines = [start.result() for start in starts]
    try:
        assert [_hostname(machine) for machine in machines] == ["gitian"] * 4
        members = Counter(machine.facts["member"] for machine in machines)
        seen = Counter(str(one["location"]) for one in cluster.first.listing())
        assert members == seen
        assert set(members) == {"m1", "m2"}
    finally:
        for machine in machines:
            machine.stop()
    assert cluster.first.listing() == []


@pytest.fixture
def remote(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    """Options that reach the cluster over https, by a certificate that it trusts."""
    cert, key = tmp_path / "client.crt", tmp_path / "client.key"
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x")
    subprocess.run([*words, "-keyout", key, "-out", cert], check=True, capture_output=True)
    cluster.first.lxc("config", "trust", "add", str(cert))
    return {
        "endpoint": f"https://{cluster.first.address}:8443",
        "cert": str(cert),
        "key": str(key),
        "pin": str(cluster.first.folder / "cluster.crt"),
    }


def test_a_member_can_be_chosen_over_https(
    cluster: Cluster, store: Store, image: Image, remote: dict[str, str]
) -> None:
    told: list[Event] = []
    backend = _backend(cluster, store, told, target="m2", **remote)
    for _ in range(2):  # the second one shares the blocks of a base on that member
        with backend.start(_spec(cluster, image, "chosen")) as machine:
            assert machine.facts["member"] == "m2"
            assert _hostname(machine) == "gitian"
    assert len([event for event in told if "quick starts" in event.text]) == 1
    assert backend.discard(image.key)
    assert cluster.first.listing() == []


@pytest.mark.parametrize("name", ["m9", "../m1"])
def test_a_member_that_is_not_there_is_told(
    name: str, cluster: Cluster, store: Store, image: Image
) -> None:
    with pytest.raises(BackendFailure, match="cluster member"):
        _backend(cluster, store, [], target=name).start(_spec(cluster, image, "lost"))
    assert cluster.first.listing() == []


def test_a_member_that_goes_offline_is_told(cluster: Cluster, store: Store, image: Image) -> None:
    told: list[Event] = []
    chosen = _backend(cluster, store, told, target="m2")
    machine = chosen.start(_spec(cluster, image, "doomed"))
    cluster.second.end()
    with Target(machine) as target, pytest.raises(BackendFailure) as lost:
        target.run(["true"])
    assert "--backend-option target=" in (lost.value.hint or ""), lost.value.details
    assert not machine.alive()

    cluster.first.wait_until_offline("m2")
    assert [one.detail for one in chosen.probe() if one.what == "cluster"] == ["offline: m2"]
    with pytest.raises(BackendFailure, match=r"the member m2 of the cluster .* is Offline"):
        chosen.start(_spec(cluster, image, "late"))
    with _backend(cluster, store, []).start(_spec(cluster, image, "other")) as other:
        assert other.facts["member"] == "m1"
    assert [one.name for one in chosen.targets()] == [machine.name]  # for a later prune
