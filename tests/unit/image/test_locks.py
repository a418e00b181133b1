"""Does a lock fit its descriptor, and what changed between two locks."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.errors import UsageFailure
from gbuild.host.files import write_atomically
from gbuild.image import lockfiles
from gbuild.image.base import base_packages
from gbuild.image.lockdiff import changes, lines
from gbuild.image.lockfiles import lock_path, proof_path, read, read_lock_file, write
from gbuild.image.proof import Proof
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


def proved(*inreleases: bytes) -> tuple[Lock, Proof]:
    """Return a lock of as many archives as there are InRelease files, and its proof."""
    by_digest = {hashlib.sha256(data).hexdigest(): data for data in inreleases}
    archives = tuple(
        Archive(name=f"a{n}", suite="trixie", sha256=digest, date=7, signed_by=("A" * 40,))
        for n, digest in enumerate(by_digest)
    )
    packages = (replace(package("zip", sha256="1" * 64), archive="a0"),)
    return lock(packages=packages, archives=archives), Proof(by_digest)


OLD, NEW = proved(b"shared", b"old"), proved(b"shared", b"new")


def write_until_full(
    monkeypatch: pytest.MonkeyPatch, path: Path, pair: tuple[Lock, Proof], *, after: int
) -> None:
    """Write a lock and its proof on a disk that is full after so many files."""
    written: list[Path] = []

    def filling(where: Path, data: bytes) -> None:
        if len(written) == after:
            raise OSError(errno.ENOSPC, "No space left on device", str(where))
        write_atomically(where, data)
        written.append(where)

    with monkeypatch.context() as patched:
        patched.setattr(lockfiles, "write_atomically", filling)
        with pytest.raises(OSError, match="No space left"):
            write(path, *pair)


@pytest.mark.parametrize(("after", "standing"), [(0, OLD), (1, OLD), (2, NEW)])
def test_a_disk_that_fills_in_between_leaves_a_lock_with_its_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, standing: tuple[Lock, Proof]
) -> None:
    path = tmp_path / "x.lock"
    write(path, *OLD)
    write_until_full(monkeypatch, path, NEW, after=after)
    lock, proof = read(path)
    assert lock == standing[0]
    assert proof is not None
    assert standing[1].inreleases.items() <= proof.inreleases.items()
    write(path, *NEW)
    assert read(path) == NEW


@pytest.mark.parametrize("after", [0, 1])
def test_a_disk_that_fills_leaves_no_first_lock_without_its_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    path = tmp_path / "x.lock"
    write_until_full(monkeypatch, path, NEW, after=after)
    assert not path.exists()
    write(path, *NEW)
    assert read(path) == NEW


def test_a_damaged_proof_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    write(path, *OLD)
    proof_path(path).write_bytes(b"damaged")
    write(path, *NEW)
    assert read(path) == NEW
