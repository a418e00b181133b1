"""Resolving: what is locked, and which archives are refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import DescriptorInvalid, Unavailable, Untrusted, UsageFailure
from gbuild.formats.lockfile import read_lock, write_lock
from gbuild.image.archives import OutOfStep
from gbuild.model.descriptor import Repository

from .conftest import World, a_descriptor, names
from .mirror import DAY, SUITE, Key, Mirror, served


def test_the_lock_holds_what_apt_would_install_and_nothing_of_the_host(world: World) -> None:
    lock, _ = world.lock()
    environment = lock.environments[0]
    assert names(environment.packages) == [
        "base-files",
        "libtiny",
        "libtool-part",
        "openssh-server",
        "tool",
    ]
    server = environment.packages[3]
    assert server.version == "1:9.2p1-2"
    assert server.file_name == "openssh-server_1%3a9.2p1-2_amd64.deb"
    assert server.path == "pool/main/o/openssh-server/openssh-server_1:9.2p1-2_amd64.deb"
    assert [p.name for p in environment.packages if p.essential] == ["base-files"]
    assert [(a.name, a.suite) for a in environment.archives] == [
        ("debian", "trixie"),
        ("debian", "trixie-updates"),
        ("debian-security", "trixie-security"),
    ]
    assert {a.signed_by for a in environment.archives} == {(world.mirror.key.fingerprint,)}


def test_the_same_archive_gives_the_same_lock(world: World) -> None:
    first = write_lock(world.lock()[0])
    assert write_lock(world.lock()[0]) == first
    assert read_lock(first, path="lock") == world.lock()[0]
    assert b"127.0.0.1" not in first
    assert str(world.folder).encode() not in first


def test_security_updates_win(world: World) -> None:
    world.security.package("libtool-part", "2.6", suite=f"{SUITE}-security")
    world.security.publish(f"{SUITE}-security", label="Debian-Security")
    lock, _ = world.lock()
    part = next(p for p in lock.environments[0].packages if p.name == "libtool-part")
    assert (part.version, part.archive) == ("2.6", "debian-security")


def test_a_suite_can_be_left_out_and_the_lock_shows_it(world: World) -> None:
    lock, proof = world.lock(without=(f"{SUITE}-security:amd64",))
    assert [a.suite for a in lock.environments[0].archives] == [SUITE, f"{SUITE}-updates"]
    assert world.check(lock, proof)[0].packages == 5
    with pytest.raises(UsageFailure, match="cannot be left out"):
        world.lock(without=(SUITE,))


def test_a_package_that_does_not_exist_is_named_with_its_neighbours(world: World) -> None:
    with pytest.raises(UsageFailure, match="no such package: libtol-part, xyzzy") as caught:
        world.lock(a_descriptor(packages=("tool", "xyzzy", "libtol-part")))
    assert any("did you mean libtool-part" in line for line in caught.value.details)
    assert caught.value.exit_code == 2


def test_packages_that_cannot_go_together_are_apts_own_words(world: World) -> None:
    with pytest.raises(UsageFailure, match="cannot be installed together") as caught:
        world.lock(a_descriptor(packages=("tool", "hater")))
    assert any("hater" in line for line in caught.value.details)


def test_a_foreign_architecture_is_locked_too(world: World) -> None:
    world.mirror.package("libtiny", arch="i386", fields="Multi-Arch: same\n")
    world.mirror.publish(architectures=("amd64", "i386"))
    world.mirror.publish(f"{SUITE}-updates", architectures=("amd64", "i386"))
    world.security.publish(
        f"{SUITE}-security", label="Debian-Security", architectures=("amd64", "i386")
    )
    wanted = a_descriptor(packages=("libtiny:i386",), multiarch=("i386",))
    with pytest.raises(UsageFailure):  # its amd64 sibling is not Multi-Arch: same
        world.lock(wanted)
    world.mirror.package("libonly", arch="i386")
    world.mirror.publish(architectures=("amd64", "i386"))
    lock, proof = world.lock(a_descriptor(packages=("libonly:i386",), multiarch=("i386",)))
    assert ("libonly", "i386") in {(p.name, p.arch) for p in lock.environments[0].packages}
    assert lock.environments[0].foreign == ("i386",)
    assert world.check(lock, proof, store=world.another_store())[0].packages == 4


# -- archives that are refused


def test_another_key_is_refused(world: World, keys: Callable[[str], Key]) -> None:
    world.mirror.publish(key=keys("stranger"))
    with pytest.raises(Untrusted, match="no accepted key signed"):
        world.lock()


def test_another_suite_under_the_asked_name_is_refused(world: World) -> None:
    world.mirror.publish(codename="bookworm")
    with pytest.raises(Untrusted, match="another suite"):
        world.lock()


def test_another_archive_by_the_same_key_is_refused(world: World) -> None:
    world.mirror.publish(label="Debian-Security")
    with pytest.raises(Untrusted, match="another archive"):
        world.lock()


@pytest.mark.parametrize("where", ["before", "after", "inside"])
def test_text_beside_the_signed_text_is_refused(world: World, where: str) -> None:
    path = world.mirror.root / f"dists/{SUITE}/InRelease"
    data = path.read_bytes()
    extra = b"SHA256:\n " + b"0" * 64 + b" 1 main/binary-amd64/Packages.xz\n"
    changed = {
        "before": extra + data,
        "after": data + extra,
        "inside": data.replace(b"Components: main\n", b"Components: main\n" + extra),
    }
    path.write_bytes(changed[where])
    with pytest.raises(Untrusted):
        world.lock()


def test_two_signed_texts_in_one_file_are_refused(world: World) -> None:
    path = world.mirror.root / f"dists/{SUITE}/InRelease"
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(Untrusted, match="not one clear-signed text"):
        world.lock()


def test_an_expired_archive_is_refused(world: World) -> None:
    world.mirror.publish(f"{SUITE}-updates", valid_until=time.time() - DAY)
    with pytest.raises(Untrusted, match="was valid until"):
        world.lock()
    assert world.lock(allow_older=True)


def test_an_archive_frozen_at_an_old_date_is_refused(world: World) -> None:
    world.security.publish(
        f"{SUITE}-security", label="Debian-Security", date=time.time() - 40 * DAY
    )
    with pytest.raises(Untrusted, match="trixie-security is frozen") as caught:
        world.lock()
    assert caught.value.exit_code == 8
    assert world.lock(allow_older=True)


def test_a_release_that_stands_still_by_nature_is_not_frozen(world: World) -> None:
    world.mirror.publish(date=time.time() - 400 * DAY)
    assert world.lock()


def test_an_archive_older_than_the_previous_lock_is_refused(world: World) -> None:
    previous, _ = world.lock()
    world.mirror.publish(date=time.time() - 2 * DAY)
    with pytest.raises(Untrusted, match="older than in the previous lock"):
        world.lock(previous=previous)
    assert world.lock(previous=previous, allow_older=True)


def test_an_unchanged_environment_keeps_its_images(world: World) -> None:
    previous, _ = world.lock()
    known = {"trixie-amd64": {"1": "0" * 64}}
    again, _ = world.lock(previous=replace(previous, images=known))
    assert again.images == known
    changed, _ = world.lock(a_descriptor(packages=()), previous=replace(previous, images=known))
    assert changed.images == {}


# -- mirrors that fail


def test_an_index_out_of_step_is_retried_and_never_used(world: World) -> None:
    world.mirror.publish(by_hash=False)
    index = world.mirror.root / f"dists/{SUITE}/main/binary-amd64/Packages.xz"
    for path in (world.mirror.root / f"dists/{SUITE}").rglob("by-hash/*/*"):
        path.unlink()
    index.write_bytes(index.read_bytes() + b"later")
    with pytest.raises(OutOfStep, match="do not fit its InRelease"):
        world.lock()
    assert sum("trying again" in e.text for e in world.events) == 3


def test_a_mirror_that_ends_its_sync_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = world.mirror.root / f"dists/{SUITE}/main/binary-amd64/Packages.xz"
    data = good.read_bytes()
    for path in (world.mirror.root / f"dists/{SUITE}").rglob("by-hash/*/*"):
        path.unlink()
    good.write_bytes(b"old")

    def sync_ends(_: float) -> None:
        good.write_bytes(data)

    monkeypatch.setattr("gbuild.image.archives._pause", sync_ends)
    assert len(world.lock()[0].environments[0].packages) == 5


def test_the_next_mirror_is_asked_when_the_first_is_stale(world: World) -> None:
    stale = Mirror(world.folder / "stale", world.mirror.key)
    stale.publish(codename="bookworm")
    stale.publish(f"{SUITE}-updates", valid_until=1.0)
    both = f"{stale.root.as_uri()} {world.mirror.root.as_uri()}"
    world.environment["GBUILD_MIRROR_DEBIAN"] = both
    assert len(world.lock()[0].environments[0].packages) == 5


def test_no_mirror_at_all_says_how_to_name_one(world: World) -> None:
    del world.environment["GBUILD_MIRROR_DEBIAN"]
    with pytest.raises(Unavailable, match="no mirror of debian") as caught:
        world.lock()
    assert "GBUILD_MIRROR_DEBIAN=" in str(caught.value.hint)


def test_locking_over_http_is_the_same(world: World) -> None:
    with served(world.mirror.root) as address:
        world.environment["GBUILD_MIRROR_DEBIAN"] = address
        over_http = write_lock(world.lock()[0])
    world.environment["GBUILD_MIRROR_DEBIAN"] = world.mirror.root.as_uri()
    assert write_lock(world.lock()[0]) == over_http


# -- a descriptor's own repositories


@pytest.fixture
def extra(world: World, keys: Callable[[str], Key]) -> Mirror:
    mirror = Mirror(world.folder / "extra", keys("extra"))
    mirror.package("gadget", suite="main-suite", fields="Depends: libtiny\n")
    mirror.publish("main-suite", origin="Somebody", label="Gadgets")
    (world.folder / "extra.asc").write_bytes(mirror.key.public(armour=True))
    return mirror


def repository(mirror: Mirror, **changes: Any) -> Repository:
    plain = Repository(
        distribution="main-suite",
        source=mirror.root.as_uri(),
        packages=("gadget",),
        key=mirror.key.fingerprint,
        key_file="extra.asc",
    )
    return replace(plain, **changes)


def test_a_repository_with_its_key_is_locked_and_proved(world: World, extra: Mirror) -> None:
    world.descriptor = a_descriptor(repositories=(repository(extra),))
    lock, proof = world.lock()
    gadget = next(p for p in lock.environments[0].packages if p.name == "gadget")
    assert gadget.archive.startswith("repository-")
    assert world.check(lock, proof, store=world.another_store())[0].packages == 6
    assert read_lock(write_lock(lock), path="lock") == lock


@pytest.mark.parametrize("missing", ["key", "key_file"])
def test_a_repository_without_a_key_is_refused(world: World, extra: Mirror, missing: str) -> None:
    lonely = a_descriptor(repositories=(repository(extra, **{missing: None}),))
    with pytest.raises(DescriptorInvalid, match="has no key"):
        world.lock(lonely)


def test_a_repository_signed_by_another_key_is_refused(
    world: World, extra: Mirror, keys: Callable[[str], Key]
) -> None:
    extra.publish("main-suite", key=keys("stranger"))
    with pytest.raises(Untrusted, match="no accepted key signed"):
        world.lock(a_descriptor(repositories=(repository(extra),)))


def test_only_the_named_key_of_a_key_file_counts(
    world: World, extra: Mirror, keys: Callable[[str], Key]
) -> None:
    both = extra.key.public(armour=True) + keys("stranger").public(armour=True)
    (world.folder / "extra.asc").write_bytes(both)
    extra.publish("main-suite", key=keys("stranger"))
    with pytest.raises(Untrusted, match="no accepted key signed"):
        world.lock(a_descriptor(repositories=(repository(extra),)))


def test_the_distributions_key_does_not_vouch_for_a_repository(world: World, extra: Mirror) -> None:
    extra.publish("main-suite", key=world.mirror.key)
    with pytest.raises(Untrusted):
        world.lock(a_descriptor(repositories=(repository(extra),)))


def test_a_key_file_that_is_no_key_is_named(world: World, extra: Mirror) -> None:
    path = Path(world.folder / "extra.asc")
    path.write_text("not a key\n")
    with pytest.raises(UsageFailure, match=r"extra\.asc holds no OpenPGP public key"):
        world.lock(a_descriptor(repositories=(repository(extra),)))
