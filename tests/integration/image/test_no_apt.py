"""A host without apt: whose apt is used instead, and what is refused on the way to it.

That the lock is the same is tested with archives of today (tests/e2e/test_no_apt.py).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import BackendFailure, GbuildError, Unavailable, Untrusted
from gbuild.host import apt
from gbuild.image.tools import SUITE

from .conftest import World
from .mirror import Key


@pytest.fixture
def bare(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Take the host's apt away, and have the mirror offer another."""
    monkeypatch.setattr(apt, "on_host", lambda: None)
    for name, fields in (
        ("base-files", "Essential: yes\nPre-Depends: awk\n"),
        ("apt", "Depends: libapt (>= 1), gone | libc\n"),
        *((name, "") for name in ("libapt", "libc", "mawk", "usr-is-merged", "not-needed")),
    ):
        world.mirror.package(name, "2", suite=SUITE, fields=fields)
    world.mirror.publish(SUITE)
    return world


def refused(world: World, **options: Any) -> GbuildError:
    """Lock, and return the error that it must end with."""
    with pytest.raises(GbuildError) as caught:
        world.lock(**options)
    return caught.value


def deb(world: World, name: str) -> Path:
    (found,) = world.mirror.root.glob(f"pool/main/*/{name}/{name}_2_amd64.deb")
    return found


def test_the_set_is_apt_and_what_it_needs_and_dpkg_judges_it(bare: World) -> None:
    error = refused(bare)  # none of these packages holds a program
    assert isinstance(error, BackendFailure)
    assert f"the image of {SUITE}-amd64 could not be made" in error.brief
    assert any(e.text.startswith("apt is not installed on this host: using") for e in bare.events)
    names = ("apt", "base-files", "libapt", "libc", "mawk", "usr-is-merged", "not-needed")
    digests = {n: hashlib.sha256(deb(bare, n).read_bytes()).hexdigest() for n in names}
    assert [n for n in names if not bare.store.has(digests[n])] == ["not-needed"]


def test_a_package_with_other_bytes_is_refused(bare: World) -> None:
    data = bytearray(deb(bare, "libapt").read_bytes())
    data[-1] ^= 1
    deb(bare, "libapt").write_bytes(data)
    error = refused(bare)
    assert isinstance(error, Unavailable)
    assert "apt is not installed on this host" in error.brief
    assert any("wrong hash" in line for line in error.details)


def test_an_archive_that_a_stranger_signed_is_refused(
    bare: World, keys: Callable[[str], Key]
) -> None:
    bare.mirror.publish(SUITE, key=keys("stranger"))
    error = refused(bare)
    assert isinstance(error, Untrusted)
    assert any("no accepted key signed" in line for line in error.details)


def test_an_archive_that_cannot_be_reached_is_told_with_the_mend(bare: World) -> None:
    shutil.rmtree(bare.mirror.root / "dists" / SUITE)
    error = refused(bare)
    assert isinstance(error, Unavailable)
    assert f"that of debian {SUITE}, to be used instead, cannot be had" in error.brief
    assert "GBUILD_MIRROR_DEBIAN" in str(error.hint)


def test_the_snapshot_service_has_it_where_the_mirror_does_not(bare: World) -> None:
    taken = bare.folder / "taken" / "dists" / SUITE
    taken.parent.mkdir(parents=True)
    shutil.move(bare.mirror.root / "dists" / SUITE, taken)
    now = int(time.time())
    (bare.folder / "no-snapshots/debian").mkdir(parents=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    (bare.folder / "no-snapshots/debian" / stamp).symlink_to(bare.folder / "taken")
    assert isinstance(refused(bare, now=now), BackendFailure)  # found, and tried


def test_an_index_without_apt_is_refused(bare: World) -> None:
    listed = bare.mirror.stanzas[SUITE, "amd64"]
    listed[:] = [one for one in listed if "Package: apt\n" not in one]
    bare.mirror.publish(SUITE)
    assert "the index has no apt" in refused(bare).brief
