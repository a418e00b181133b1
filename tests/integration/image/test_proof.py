"""A poisoned lock in a pull request must not pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import Unavailable, Untrusted, UsageFailure
from gbuild.image.lockfiles import lock_path, proof_path, read, write
from gbuild.image.proof import Proof, read_proof, write_proof
from gbuild.model.lock import Lock

from .conftest import World, a_descriptor, with_package
from .mirror import SUITE, Key, Mirror


def test_an_honest_lock_is_proved_offline_from_the_lockers_store(world: World) -> None:
    lock, proof = world.lock()
    assert world.check(lock, None, offline=True)[0].remembered  # resolving proved it
    finding = world.check(lock, proof, offline=True, again=True)[0]
    assert (finding.label, finding.packages, finding.remembered) == ("trixie-amd64", 5, False)


def test_elsewhere_the_indexes_are_fetched_by_their_signed_digest(world: World) -> None:
    lock, proof = world.lock()
    other = world.another_store()
    assert world.check(lock, proof, store=other)[0].packages == 5
    world.environment["GBUILD_MIRROR_DEBIAN"] = "http://127.0.0.1:9/debian"
    with pytest.raises(Unavailable, match="cannot be proved"):
        world.check(lock, proof, store=world.another_store(), offline=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"size": 1},
        {"version": "0.9"},
        {"path": "pool/main/t/tool/tool_0.9_amd64.deb"},
        {"essential": True},
        {"archive": "debian-security"},
        {"name": "tool-evil"},
    ],
)
def test_any_changed_field_of_a_package_is_found(world: World, changes: dict[str, Any]) -> None:
    lock, proof = world.lock()
    with pytest.raises(Untrusted, match="no signed archive has") as caught:
        world.check(with_package(lock, "tool", changes), proof)
    assert caught.value.exit_code == 8
    assert len(caught.value.details) == 1


def test_an_added_package_is_found(world: World) -> None:
    lock, proof = world.lock()
    environment = lock.environments[0]
    evil = replace(environment.packages[0], name="evil", sha256="1" * 64)
    added = replace(environment, packages=(*environment.packages, evil))
    with pytest.raises(Untrusted, match="1 packages that no signed archive has"):
        world.check(replace(lock, environments=(added,)), proof)


def test_a_missing_essential_package_is_found(world: World) -> None:
    lock, proof = world.lock()
    environment = lock.environments[0]
    others = tuple(one for one in environment.packages if not one.essential)
    forged = replace(lock, environments=(replace(environment, packages=others),))
    with pytest.raises(Untrusted, match="lacks essential packages: base-files"):
        world.check(forged, proof)


def test_boot_packages_are_in_doubt_too(world: World) -> None:
    lock, proof = world.lock()
    environment = lock.environments[0]
    evil = replace(environment.packages[0], name="linux-image-evil", sha256="1" * 64)
    with pytest.raises(Untrusted):
        world.check(replace(lock, environments=(replace(environment, boot=(evil,)),)), proof)


def test_an_earlier_proof_does_not_cover_a_changed_lock(world: World) -> None:
    lock, proof = world.lock()
    world.check(lock, proof)
    with pytest.raises(Untrusted):
        world.check(with_package(lock, "tool", {"sha256": "0" * 64}), proof)


def test_an_inrelease_by_a_stranger_proves_nothing(
    world: World, keys: Callable[[str], Key]
) -> None:
    evil = Mirror(world.folder / "evil", keys("stranger"))
    evil.package("tool", "6.6")
    for suite in (SUITE, f"{SUITE}-updates"):
        evil.publish(suite)
    lock, proof = world.lock()
    data = (evil.root / f"dists/{SUITE}/InRelease").read_bytes()
    world.store.add(data)
    forged = forged_archive(lock, data)
    with pytest.raises(Untrusted, match="no accepted key signed"):
        world.check(forged, Proof({**proof.inreleases, **_by_digest(data)}))


def _by_digest(data: bytes) -> dict[str, bytes]:
    import hashlib

    return {hashlib.sha256(data).hexdigest(): data}


def forged_archive(lock: Lock, data: bytes) -> Lock:
    """Return the lock with the first archive's InRelease replaced."""
    environment = lock.environments[0]
    first = replace(environment.archives[0], sha256=next(iter(_by_digest(data))))
    changed = replace(environment, archives=(first, *environment.archives[1:]))
    return replace(lock, environments=(changed,))


@pytest.mark.parametrize("changes", [{"date": 1}, {"signed_by": ("A" * 40,)}])
def test_a_lock_that_misstates_its_archive_is_found(world: World, changes: dict[str, Any]) -> None:
    lock, proof = world.lock()
    environment = lock.environments[0]
    wrong = replace(environment.archives[0], **changes)
    forged = replace(environment, archives=(wrong, *environment.archives[1:]))
    with pytest.raises(Untrusted, match="misstates debian trixie"):
        world.check(replace(lock, environments=(forged,)), proof)


def test_an_archive_that_the_descriptor_does_not_use_is_found(world: World) -> None:
    lock, proof = world.lock()
    environment = lock.environments[0]
    other = replace(environment.archives[0], suite="bookworm")
    forged = replace(environment, archives=(other, *environment.archives[1:]))
    with pytest.raises(Untrusted, match="an archive that its descriptor does not"):
        world.check(replace(lock, environments=(forged,)), proof)


def test_a_lock_without_its_proof_is_not_believed(world: World) -> None:
    lock, _ = world.lock()
    with pytest.raises(Untrusted, match="is not at hand"):
        world.check(lock, None, store=world.another_store())


def test_when_the_mirror_has_moved_the_snapshot_service_is_asked(world: World) -> None:
    lock, proof = world.lock()
    old = world.mirror.root.rename(world.folder / "yesterday")
    world.mirror.root.mkdir()
    with pytest.raises(Unavailable, match="can be had nowhere") as caught:
        world.check(lock, proof, store=world.another_store())
    assert caught.value.exit_code == 4
    date = next(a.date for a in lock.environments[0].archives if a.suite == SUITE)
    put_snapshot(world, old, date)
    updates = next(a for a in lock.environments[0].archives if a.suite == f"{SUITE}-updates")
    put_snapshot(world, old, updates.date)
    assert world.check(lock, proof, store=world.another_store())[0].packages == 5


def put_snapshot(world: World, archive: Path, date: int) -> None:
    """Play the snapshot service: <service>/<archive>/<stamp>/..."""
    import time

    service = world.folder / "no-snapshots/debian"
    service.mkdir(parents=True, exist_ok=True)
    stamp = service / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(date))
    if not stamp.exists():
        stamp.symlink_to(archive)


def test_a_proof_made_with_other_keys_is_made_again(
    world: World, keys: Callable[[str], Key]
) -> None:
    lock, proof = world.lock()
    world.check(lock, proof)
    ring = Path(world.environment["GBUILD_KEYRINGS"]) / "debian.gpg"
    ring.write_bytes(keys("stranger").public())
    with pytest.raises(Untrusted, match="no accepted key signed"):
        world.check(lock, proof)


def test_the_files_beside_a_descriptor_round_trip(world: World) -> None:
    lock, proof = world.lock()
    path = lock_path(world.folder / "tiny.yml")
    write(path, lock, proof)
    assert read(path) == (lock, proof)
    proof_path(path).unlink()
    assert read(path) == (lock, None)


def test_a_damaged_proof_is_refused(world: World) -> None:
    _, proof = world.lock()
    data = write_proof(proof)
    digest, text = next(iter(proof.inreleases.items()))
    forged = write_proof(Proof({**proof.inreleases, digest: text + b"x"}))
    for bad in (data[:-9], b"nothing", b"", forged):
        with pytest.raises(UsageFailure, match="is not a proof"):
            read_proof(bad, path="x.lock.proof")


def test_what_the_descriptor_does_not_ask_for_is_not_proved(world: World) -> None:
    lock, proof = world.lock()
    world.descriptor = a_descriptor(suites=("bookworm",))
    assert world.check(lock, proof) == ()
