"""A person with VirtualBox machines: the stand-in's, which are namespaces of this host."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.backends.virtualbox import VirtualBoxBackend
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment, Package

from .person import Person, new_person


@pytest.fixture(scope="session")
def person() -> Iterator[Person]:
    """Somebody with machines for the suites ``none`` and ``open``.

    Below /dev/shm: the machines' disks are overlays over this host's root folder, below which an
    overlay cannot keep what it writes.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can be the stand-in's hypervisor")
    if shutil.which("pasta") is None:
        pytest.skip("passt is not installed")
    folder = Path(tempfile.mkdtemp(prefix="gbuild-virtualbox-", dir="/dev/shm"))
    someone = new_person(folder)
    someone.make("Gitian-none-amd64")
    yield someone
    someone.shut_down()
    shutil.rmtree(folder)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def backend(person: Person, tmp_path: Path, events: list[Event]) -> Iterator[VirtualBoxBackend]:
    """The backend on a store of its own; the machines are off in the end."""
    yield VirtualBoxBackend(
        store=Store(tmp_path / "store"),
        environment=person.environment,
        sink=events.append,
        options=person.options,
    )
    person.shut_down()
    for log in person.home.glob("machines/*/VBox.log"):  # shown when a test failed
        sys.stdout.write(f"{log}:\n{log.read_text(errors='replace')[-2000:]}\n")


@pytest.fixture(scope="session")
def image() -> Image:
    return image_of()


def image_of(*packages: Package, suite: str = "none") -> Image:
    """Return what stands for an image with these packages: machines of this backend need none."""
    archive = Archive(name="debian", suite=suite, sha256="0" * 64, date=1, signed_by=())
    environment = Environment(
        suite=suite,
        arch="amd64",
        distro="debian",
        request=(),
        archives=(archive,),
        packages=packages,
    )
    return Image(
        key="0" * 64, sha256="0" * 64, recipe=0, environment=environment, tar=Path("/dev/null")
    )
