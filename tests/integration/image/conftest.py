"""Archives, descriptors and stores of their own for every test of locks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gbuild.host.store import Store
from gbuild.image import proof, resolve
from gbuild.image.proof import Finding, Proof
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event, discard
from gbuild.model.lock import Lock, Package

from .mirror import SUITE, Key, Mirror


@pytest.fixture(scope="session")
def keys() -> Iterator[Callable[[str], Key]]:
    """Return a maker of signing keys that live for the session."""
    folder = Path(tempfile.mkdtemp(prefix="gk-"))  # short: gpg's sockets lie below
    made: dict[str, Key] = {}

    def key(name: str) -> Key:
        return made.setdefault(name, made[name] if name in made else Key.make(folder / name))

    yield key
    for one in made.values():
        one.close()
    shutil.rmtree(folder)


@dataclass
class World:
    """A distribution of a few packages, and a person who locks against it."""

    folder: Path
    mirror: Mirror
    security: Mirror
    store: Store
    environment: dict[str, str]
    descriptor: Descriptor
    events: list[Event]

    def lock(self, descriptor: Descriptor | None = None, **options: Any) -> tuple[Lock, Proof]:
        return resolve.lock_descriptor(
            descriptor or self.descriptor,
            folder=self.folder,
            store=self.store,
            environment=self.environment,
            sink=self.events.append,
            **options,
        )

    def check(
        self, lock: Lock, with_proof: Proof | None, *, store: Store | None = None, **options: Any
    ) -> tuple[Finding, ...]:
        return proof.check(
            lock,
            with_proof,
            descriptor=self.descriptor,
            folder=self.folder,
            store=store or self.store,
            environment=self.environment,
            sink=discard,
            **options,
        )

    def another_store(self) -> Store:
        """Return an empty store: somebody else's machine."""
        return Store(Path(tempfile.mkdtemp(dir=self.folder)))


@pytest.fixture(scope="session")
def archives_of_packages(
    keys: Callable[[str], Key], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mirror, Mirror]:
    """Make the distribution's archives once; tests change copies."""
    folder = tmp_path_factory.mktemp("archives")
    mirror = Mirror(folder / "debian", keys("debian"))
    security = Mirror(folder / "security", keys("debian"))
    fill(mirror)
    mirror.publish()
    mirror.publish(f"{SUITE}-updates")
    security.publish(f"{SUITE}-security", label="Debian-Security")
    return mirror, security


def copied(mirror: Mirror, folder: Path) -> Mirror:
    """Return a copy of an archive that may be changed."""
    root = shutil.copytree(mirror.root, folder / mirror.root.name)
    return Mirror(root, mirror.key, {name: list(found) for name, found in mirror.stanzas.items()})


@pytest.fixture
def world(
    tmp_path: Path,
    keys: Callable[[str], Key],
    archives_of_packages: tuple[Mirror, Mirror],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Return a distribution of its own for one test; pauses between tries take no time."""
    monkeypatch.setattr("gbuild.image.archives._pause", lambda _: None)
    key = keys("debian")
    mirror, security = (copied(one, tmp_path) for one in archives_of_packages)
    rings = tmp_path / "keyrings"
    rings.mkdir()
    (rings / "debian.gpg").write_bytes(key.public())
    environment = {
        "GBUILD_APT_ROOT": str(rings),
        "GBUILD_KEYRINGS": str(rings),
        "GBUILD_MIRROR_DEBIAN": mirror.root.as_uri(),
        "GBUILD_MIRROR_DEBIAN_SECURITY": security.root.as_uri(),
        "GBUILD_SNAPSHOT_DEBIAN": (tmp_path / "no-snapshots").as_uri(),
    }
    return World(
        folder=tmp_path,
        mirror=mirror,
        security=security,
        store=Store(tmp_path / "store"),
        environment=environment,
        descriptor=a_descriptor(),
        events=[],
    )


def fill(mirror: Mirror) -> None:
    """Enter an essential package, the base, and a few to ask for."""
    mirror.package("base-files", fields="Essential: yes\nDepends: libtiny\n")
    mirror.package("libtiny")
    mirror.package("openssh-server", "1:9.2p1-2")
    mirror.package("tool", fields="Depends: libtool-part (>= 2)\n")
    mirror.package("libtool-part", "2.5")
    mirror.package("hater", fields="Conflicts: tool\n")


def a_descriptor(**changes: Any) -> Descriptor:
    """Return a descriptor for the tiny distribution."""
    plain = Descriptor(
        source=b"",
        stem="tiny",
        name="tiny",
        suites=(SUITE,),
        architectures=("amd64",),
        script="true\n",
        distro="debian",
        base="minimal",
        packages=("tool",),
    )
    return replace(plain, **changes)


def with_package(lock: Lock, name: str, changes: Mapping[str, Any]) -> Lock:
    """Return a lock in which one package's entry was changed, as a hostile request would."""
    environment = lock.environments[0]
    packages = tuple(replace(p, **changes) if p.name == name else p for p in environment.packages)
    return replace(lock, environments=(replace(environment, packages=packages),))


def names(packages: tuple[Package, ...]) -> list[str]:
    """Return the names of packages."""
    return [one.name for one in packages]
