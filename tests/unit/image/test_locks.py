"""Does a lock fit its descriptor, and what changed between two locks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.errors import UsageFailure
from gbuild.image.base import base_packages
from gbuild.image.lockdiff import changes, lines
from gbuild.image.lockfiles import lock_path, proof_path, read_lock_file
from gbuild.image.resolve import misfits, refuse_misfit, request
from gbuild.model.descriptor import Descriptor, Repository
from gbuild.model.lock import Archive, Environment, Lock, Package

DESCRIPTOR = Descriptor(
    source=b"",
    stem="x",
    name="x",
    suites=("trixie",),
    architectures=("linux64", "amd64"),
    script="",
    distro="debian",
    base="minimal",
    packages=("zip",),
)


def package(name: str, version: str = "1", sha256: str = "0" * 64) -> Package:
    return Package(
        name=name, arch="amd64", version=version, sha256=sha256, size=1, archive="debian", path="p"
    )


def lock(*packages: Package, **changed: object) -> Lock:
    archive = Archive(name="debian", suite="trixie", sha256="0" * 64, date=7, signed_by=("A",))
    one = Environment(
        suite="trixie",
        arch="amd64",
        distro="debian",
        request=("openssh-server", "zip"),
        archives=(archive,),
        packages=packages,
        base="minimal",
    )
    return Lock(environments=(replace(one, **changed),))  # type: ignore[arg-type] # any field


def test_the_request_is_the_base_the_packages_and_the_repositories() -> None:
    extra = Repository(distribution="d", source="s", packages=("gadget", "zip"))
    wanted = replace(DESCRIPTOR, repositories=(extra,), base="full")
    assert set(request(wanted, "trixie", "amd64")) == {*base_packages("full"), "zip", "gadget"}
    assert "usr-is-merged" in request(wanted, "bookworm", "amd64")


def test_a_lock_that_fits() -> None:
    assert misfits(lock(), DESCRIPTOR) == ()
    refuse_misfit(lock(), DESCRIPTOR, path=Path("x.lock"))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"suite": "bookworm"}, "trixie-amd64 is not locked"),
        ({"request": ("openssh-server",)}, "trixie-amd64: not in the lock: zip"),
        ({"request": ("openssh-server", "vim", "zip")}, "trixie-amd64: no longer asked for: vim"),
        ({"base": "full"}, "trixie-amd64: base is 'full', the descriptor says 'minimal'"),
        ({"foreign": ("i386",)}, "trixie-amd64: foreign is ('i386',), the descriptor says ()"),
        ({"distro": "ubuntu"}, "trixie-amd64: distro is 'ubuntu', the descriptor says 'debian'"),
    ],
)
def test_a_lock_for_something_else_is_refused(changed: dict[str, object], expected: str) -> None:
    stale = lock(**changed)
    assert misfits(stale, DESCRIPTOR) == (expected,)
    with pytest.raises(UsageFailure, match="does not fit its descriptor"):
        refuse_misfit(stale, DESCRIPTOR, path=Path("x.lock"))


def test_changes_between_locks() -> None:
    old = lock(package("gone"), package("same"), package("up"), package("evil"))
    new = lock(
        package("new"), package("same"), package("up", "2"), package("evil", sha256="1" * 64)
    )
    assert lines(changes(old, new)) == [
        "trixie-amd64  evil:amd64  1: same version, OTHER BYTES",
        "trixie-amd64  gone:amd64  removed 1",
        "trixie-amd64  new:amd64  added 1",
        "trixie-amd64  up:amd64  1 -> 2",
    ]
    assert changes(old, old) == ()


def test_names_of_the_files() -> None:
    assert lock_path(Path("d/hello.yml")) == Path("d/hello.lock")
    assert proof_path(Path("d/hello.lock")) == Path("d/hello.lock.proof")


def test_no_lock_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure) as caught:
        read_lock_file(tmp_path / "x.lock")
    assert "glock" in str(caught.value.hint)
