"""An old assertion becomes a lock: proved by signed archives, or by nobody and saying so."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from gbuild.errors import Unavailable, Untrusted
from gbuild.formats.lockfile import read_lock, write_lock
from gbuild.formats.manifest import base_manifest
from gbuild.formats.report import write_report
from gbuild.host.deb import parse_fields
from gbuild.host.snapshot_service import SnapshotService
from gbuild.host.web import Settings
from gbuild.image.from_assertion import lock_assertion
from gbuild.image.proof import Proof
from gbuild.image.resolve import misfits
from gbuild.image.seek import Look
from gbuild.model.event import discard
from gbuild.model.lock import UNVOUCHED, Environment, Lock, Package
from gbuild.model.manifest import Report

from .conftest import World
from .mirror import SUITE, Mirror
from .snapshots import Service, playing
from .test_commands import DESCRIPTOR, SCHEMA, Person
from .test_proof import put_snapshot

LOCK_SCHEMA = Path(__file__).parents[3] / "docs/reference/schemas/lock.schema.json"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries take next to no time."""
    monkeypatch.setattr("gbuild.host.web.settings", lambda _: Settings(delay=0.01))


@pytest.fixture
def service(world: World) -> Iterator[Service]:
    """Play the snapshot service for one test."""
    played = Service()
    with playing(played) as address:
        world.environment["GBUILD_SNAPSHOT_DEBIAN"] = address
        yield played


def built(world: World) -> tuple[Environment, bytes]:
    """Return what a build of today is made of, and its report; apt would choose the same."""
    said = [parse_fields(stanza) for stanza in world.mirror.stanzas[SUITE, "amd64"]]
    packages = [
        Package(
            name=one["Package"],
            arch=one["Architecture"],
            version=one["Version"],
            sha256=one["SHA256"],
            size=int(one["Size"]),
            archive="debian",
            path=one["Filename"],
            essential="Essential" in one,
        )
        for one in said
        if one["Package"] != "hater"
    ]
    environment = Environment(
        suite=SUITE,
        arch="amd64",
        distro="debian",
        request=(),
        archives=(),
        packages=tuple(sorted(packages)),
    )
    return environment, report_of(environment)


def report_of(environment: Environment, *, more: str = "") -> bytes:
    text = base_manifest(environment) + more
    return write_report(
        Report(out_manifest="", in_manifest="", base_manifests={environment.label: text})
    )


def relock(world: World, report: bytes, **changes: object) -> tuple[Lock, Proof]:
    look = Look(
        store=world.another_store(),
        environment=world.environment,
        sink=world.events.append,
        now=int(time.time()),
    )
    return lock_assertion(report, replace(look, **changes))  # type: ignore[arg-type] # its fields


def drop(mirror: Mirror, name: str) -> Path:
    """Take a package out of the mirror, file and index; return where its file lies now."""
    [deb] = mirror.root.glob(f"pool/main/*/{name}/*.deb")
    aside = deb.rename(mirror.root.parent / deb.name)
    for where, stanzas in mirror.stanzas.items():
        mirror.stanzas[where] = [s for s in stanzas if not s.startswith(f"Package: {name}\n")]
    mirror.publish()
    return aside


def test_what_the_archives_still_list_is_proved_as_a_whole(world: World) -> None:
    environment = world.lock()[0].environments[0]
    report = report_of(environment)
    lock, proof = relock(world, report)
    made = lock.environments[0]
    assert made.vouched
    assert base_manifest(made) == base_manifest(environment)
    assert made.packages == environment.packages
    assert misfits(lock, world.descriptor) == ()
    assert world.check(lock, proof, store=world.another_store())[0].packages == 5


def test_an_assertion_of_an_older_state_is_proved_by_the_snapshot_of_its_time(world: World) -> None:
    _, report = built(world)
    shutil.copytree(world.mirror.root, world.folder / "then")
    drop(world.mirror, "libtiny")
    date = 1_700_000_000
    put_snapshot(world, world.folder / "then", date)
    lock, proof = relock(world, report, date=date)
    assert lock.environments[0].vouched
    assert [a.name for a in lock.environments[0].archives] == ["debian", "debian"]
    assert world.check(lock, proof, store=world.another_store())[0].packages == 5


def test_one_package_that_no_archive_lists_leaves_the_whole_lock_unproved(
    world: World, service: Service
) -> None:
    environment, report = built(world)
    service.keep(drop(world.mirror, "libtiny"), "libtiny", "1.0")
    service.busy = 1  # "later", once: it is asked again
    lock, proof = relock(world, report)
    made = lock.environments[0]
    assert (made.archives, proof.inreleases) == ((), {})
    assert {p.archive for p in made.packages} == {UNVOUCHED}
    assert base_manifest(made) == base_manifest(environment)
    assert {p.name for p in made.packages if p.essential} == {"base-files"}
    with pytest.raises(Untrusted, match="no archive vouches for the 5 packages") as caught:
        world.check(lock, proof)
    assert "--unproven-lock" in str(caught.value.hint)
    assert world.check(lock, proof, accept_unproven=True) == ()
    assert read_lock(write_lock(lock), path="x") == lock
    jsonschema.validate(json.loads(write_lock(lock)), json.loads(LOCK_SCHEMA.read_text()))


def test_the_lock_is_the_same_wherever_the_packages_were_found(
    world: World, service: Service
) -> None:
    _, report = built(world)
    aside = drop(world.mirror, "libtiny")
    service.keep(aside, "libtiny", "1.0")
    first, _ = relock(world, report)
    service.answers.clear()
    store = world.another_store()
    store.add(aside.read_bytes())
    second, _ = relock(world, report, store=store)
    assert write_lock(first) == write_lock(second)


def test_the_word_accepts_no_poisoned_ordinary_lock(world: World) -> None:
    lock, proof = world.lock()
    one = lock.environments[0]
    poisoned = replace(one, packages=(*one.packages[1:], replace(one.packages[0], sha256="0" * 64)))
    with pytest.raises(Untrusted, match="no signed archive has"):
        world.check(
            replace(lock, environments=(poisoned,)), proof, accept_unproven=True, again=True
        )


def test_everything_that_is_nowhere_is_named_in_one_pass(world: World, service: Service) -> None:
    environment, report = built(world)
    gone = [drop(world.mirror, name) for name in ("libtiny", "libtool-part")]
    service.keep(drop(world.mirror, "tool"), "tool", "1.0")
    with pytest.raises(Unavailable, match="2 packages of the assertion") as caught:
        relock(world, report)
    said = "\n".join(caught.value.details)
    hashes = {p.file_name: p.sha256 for p in environment.packages}
    for deb in gone:
        assert f"trixie-amd64: {deb.name} sha256 {hashes[deb.name]}" in said
    assert caught.value.exit_code == 4


def test_a_persons_folder_is_looked_into_by_hash(world: World) -> None:
    _, report = built(world)
    own = world.folder / "own/deep"
    own.mkdir(parents=True)
    drop(world.mirror, "libtiny").rename(own / "whatever.deb")
    (own / "libtiny_1.0_amd64.deb").write_bytes(b"something else")
    lock, _ = relock(world, report, folder=world.folder / "own")
    assert not lock.environments[0].vouched


def test_another_version_shows_where_the_old_one_may_lie(world: World) -> None:
    _, report = built(world)
    [old] = world.mirror.root.glob("pool/main/*/libtiny/*.deb")
    kept = old.read_bytes()
    drop(world.mirror, "libtiny")
    world.mirror.package("libtiny", "2.0")
    world.mirror.publish()
    old.write_bytes(kept)  # the pool has it, the index does not
    lock, _ = relock(world, report)
    assert not lock.environments[0].vouched


def test_what_the_service_says_is_never_believed(service: Service, world: World) -> None:
    address = world.environment["GBUILD_SNAPSHOT_DEBIAN"]
    assert SnapshotService.of("ubuntu", {}, settings=Settings(), sink=discard) is None
    asked = SnapshotService.of(
        "debian",
        {"GBUILD_SNAPSHOT_DEBIAN": address},
        settings=Settings(delay=0.01),
        sink=discard,
    )
    assert asked is not None
    zeros = "0" * 40
    hostile: list[object] = [
        [],
        {"result": "x", "fileinfo": []},
        {"result": [{"architecture": "amd64", "hash": "../../../etc/passwd"}]},
        {"result": [{"architecture": "riscv64", "hash": zeros}]},
        [[[[[[]]]]]],
    ]
    for document in hostile:
        service.answer("libtiny", "1:1.0", document)
        assert asked.find("libtiny", "1:1.0", "amd64") == ()
    odd = [{"archive_name": "debian", "path": "/pool/../..", "name": "a.deb"}, 7, {"name": 8}]
    document = {"result": [{"architecture": "amd64", "hash": zeros}], "fileinfo": {zeros: odd}}
    service.answer("libtiny", "1:1.0", document)
    [only] = asked.find("libtiny", "1:1.0", "amd64")
    assert (only.path, only.url) == ("", address.removesuffix("archive") + f"file/{zeros}")


def test_other_bytes_from_the_service_are_refused(world: World, service: Service) -> None:
    _, report = built(world)
    sha1 = service.keep(drop(world.mirror, "libtiny"), "libtiny", "1.0")
    service.answers[f"/file/{sha1}"] += b"x"
    with pytest.raises(Unavailable) as caught:
        relock(world, report)
    assert any("wrong hash" in line for line in caught.value.details)


def test_an_endless_answer_is_cut(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, report = built(world)
    drop(world.mirror, "libtiny")
    monkeypatch.setattr("gbuild.host.snapshot_service._LARGEST", 1000)
    service.answers["/mr/binary/libtiny/1.0/binfiles?fileinfo=1"] = b"[" + b" " * 5000 + b"]"
    with pytest.raises(Unavailable, match="1 packages"):
        relock(world, report)


def test_a_service_that_is_down_is_not_asked_for_each_package(world: World) -> None:
    _, report = built(world)
    world.environment["GBUILD_SNAPSHOT_DEBIAN"] = "http://127.0.0.1:9/archive"
    for deb in world.mirror.root.glob("pool/main/*/*/*.deb"):
        deb.unlink()
    with pytest.raises(Unavailable) as caught:
        relock(world, report)
    said = [line for line in caught.value.details if "/mr/binary/" in line]
    assert len(said) == 1


def test_a_package_that_is_not_what_the_assertion_calls_it_is_refused(world: World) -> None:
    environment, _ = built(world)
    for deb in world.mirror.root.glob("pool/main/*/*/*.deb"):
        world.store.add(deb.read_bytes())
    wrong = replace(environment.packages[1], version="9.9")
    forged = replace(environment, packages=(environment.packages[0], wrong))
    with pytest.raises(Untrusted, match="misnames 1 packages") as caught:
        relock(world, report_of(forged), store=world.store)
    assert caught.value.details == ("libtiny_9.9_amd64.deb: it is libtiny 1.0 amd64",)


def test_older_versions_in_the_list_are_left_out_and_told(world: World) -> None:
    environment, _ = built(world)
    report = report_of(environment, more=f"{'0' * 64}  tool_0.9_amd64.deb\n")
    lock, _ = relock(world, report)
    assert base_manifest(lock.environments[0]) == base_manifest(environment)
    assert any("tool_0.9_amd64.deb" in event.text for event in world.events)


def test_the_command_tells_proved_from_not_proved(world: World, service: Service) -> None:
    person = Person(world)
    (world.folder / "tiny.yml").write_text(DESCRIPTOR)
    _, report = built(world)
    (world.folder / "tiny-res.yml").write_bytes(report)
    done = person.glock("from-assertion", "tiny-res.yml")
    assert "listed by the signed debian trixie" in done.stdout
    person.glock("verify", "tiny.yml", "--lock", "tiny-res.lock")
    aside = drop(world.mirror, "libtiny")
    service.keep(aside, "libtiny", "1.0")
    shutil.rmtree(world.folder / "store")
    done = person.glock("from-assertion", "tiny-res.yml", "--output", "old.lock", "--json")
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert answer["environments"]["trixie-amd64"]["vouched"] is False
    assert "NOT PROVED" in person.glock("show", "old.lock").stdout
    done = person.glock("verify", "tiny.yml", "--lock", "old.lock", code=8)
    assert "no archive vouches for the 5 packages" in done.stderr
