"""Locked packages: from the store, mirrors or the snapshot service, or an honest refusal."""

from __future__ import annotations

import pytest

from gbuild.errors import Unavailable, WrongHash
from gbuild.image.provide import download

from .conftest import World
from .mirror import served
from .test_proof import put_snapshot


def fetch(world: World, *, offline: bool = False) -> None:
    lock, _ = world.lock()
    download(
        lock.environments[0],
        store=world.store,
        sink=world.events.append,
        os_environment=world.environment,
        offline=offline,
    )


def test_every_package_comes_into_the_store(world: World) -> None:
    fetch(world)
    lock, _ = world.lock()
    assert all(world.store.has(p.sha256) for p in lock.environments[0].packages)


def test_nothing_is_fetched_twice(world: World) -> None:
    fetch(world)
    lock, _ = world.lock()
    world.environment["GBUILD_MIRROR_DEBIAN"] = (world.folder / "gone").as_uri()
    download(
        lock.environments[0],
        store=world.store,
        sink=world.events.append,
        os_environment=world.environment,
        offline=True,
    )


def test_a_package_that_is_nowhere_is_named_with_the_mend(world: World) -> None:
    lock, _ = world.lock()
    for deb in world.mirror.root.glob("pool/main/*/tool/*.deb"):
        deb.unlink()
    for deb in world.mirror.root.glob("pool/main/*/libtiny/*.deb"):
        deb.unlink()
    with pytest.raises(Unavailable, match="2 locked packages of trixie-amd64") as caught:
        fetch(world)
    said = "\n".join(caught.value.details)
    for name in ("tool", "libtiny"):
        package = next(p for p in lock.environments[0].packages if p.name == name)
        assert f"{package.file_name} sha256 {package.sha256}" in said
    assert caught.value.exit_code == 4
    assert "glock" in str(caught.value.hint)


def test_other_bytes_under_the_right_name_are_refused(world: World) -> None:
    deb = next(world.mirror.root.glob("pool/main/*/tool/*.deb"))
    data = bytearray(deb.read_bytes())
    data[-1] ^= 1
    deb.write_bytes(data)
    with pytest.raises(Unavailable) as caught:
        fetch(world)
    assert any("wrong hash" in line for line in caught.value.details)


def test_the_snapshot_service_has_what_mirrors_dropped(world: World) -> None:
    lock, _ = world.lock()
    old = world.mirror.root.rename(world.folder / "yesterday")
    world.environment["GBUILD_MIRROR_DEBIAN"] = (world.folder / "empty").as_uri()
    (world.folder / "empty").mkdir()
    with served(world.folder) as address:
        world.environment["GBUILD_SNAPSHOT_DEBIAN"] = f"{address}/no-snapshots"
        for archive in lock.environments[0].archives:
            put_snapshot(world, old, archive.date)
        download(
            lock.environments[0],
            store=world.store,
            sink=world.events.append,
            os_environment=world.environment,
        )
    assert all(world.store.has(p.sha256) for p in lock.environments[0].packages)


def test_a_damaged_blob_is_found_before_it_is_used(world: World) -> None:
    fetch(world)
    lock, _ = world.lock()
    package = lock.environments[0].packages[0]
    blob = world.store.blob(package.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"x")
    with pytest.raises(WrongHash, match="damaged"):
        world.store.verified(package.sha256)
