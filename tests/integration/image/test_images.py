"""Real images of today's archives: same bytes, nothing of the host, no way out.

What is in those of other suites and architectures is looked at in tests/e2e/test_four_jobs.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import BackendFailure, Untrusted, WrongHash
from gbuild.host import cgroup
from gbuild.host.idmap import IdMap, current
from gbuild.host.store import Store
from gbuild.image import provide, prune, unpacked
from gbuild.image.bootstrap import bootstrap
from gbuild.image.provide import ensure
from gbuild.image.resolve import lock_descriptor
from gbuild.model.descriptor import Repository
from gbuild.model.event import Event, discard
from gbuild.model.image import Image
from gbuild.model.lock import Environment

from .conftest import a_descriptor
from .mirror import Key, Mirror

MOVING = tuple(
    f"{s}-{pocket}" for s in ("bookworm", "trixie") for pocket in ("security", "updates")
)
"""Left out: pockets that change every day, so that a mirror may have them out of step.

What pockets do is tested with archives of our own (test_lock.py).
"""


@dataclass
class Today:
    """The archives of today, locked once, in a store for the session."""

    store: Store
    idmap: IdMap
    events: list[Event]

    def lock(
        self,
        suite: str,
        arch: str,
        folder: Path | None = None,
        *,
        extra: tuple[str, ...] = (),
        without: tuple[str, ...] = MOVING,
        **changes: Any,
    ) -> Environment:
        lock, _ = lock_descriptor(
            a_descriptor(suites=(suite,), architectures=(arch,), packages=extra, **changes),
            folder=folder or self.store.root,
            store=self.store,
            environment=dict(os.environ),
            sink=self.events.append,
            without=without,
        )
        return lock.environments[0]

    def image(self, environment: Environment, **changes: Any) -> Image:
        return ensure(
            environment,
            **{
                "expected": {},
                "store": self.store,
                "idmap": self.idmap,
                "sink": self.events.append,
                "os_environment": dict(os.environ),
                **changes,
            },
        )


@pytest.fixture(scope="module")
def today() -> Iterator[Today]:
    """Bring a store that mapped users reach (``GBUILD_TEST_STORE`` keeps it over sessions)."""
    idmap = current(os.environ)
    if kept := os.environ.get("GBUILD_TEST_STORE"):
        yield Today(Store(Path(kept)), idmap, [])
        return
    folder = Path(tempfile.mkdtemp(prefix="gbuild-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    store = Store(folder)
    yield Today(store, idmap, [])
    prune.prune(store, idmap=idmap, sink=discard, unused_for=-1e9)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def bookworm(today: Today) -> Image:
    return today.image(today.lock("bookworm", "amd64"))


def sha256_again(environment: Environment, today: Today) -> str:
    with tempfile.TemporaryFile() as out:
        bootstrap(environment, out.fileno(), store=today.store, idmap=today.idmap, sink=discard)
        out.seek(0)
        return hashlib.file_digest(out, "sha256").hexdigest()


@pytest.mark.slow
def test_twice_the_same_bytes(today: Today, bookworm: Image) -> None:
    assert today.image(bookworm.environment) == bookworm
    assert sha256_again(bookworm.environment, today) == bookworm.sha256


def test_the_hash_in_the_lock_decides(today: Today, bookworm: Image) -> None:
    right = {str(bookworm.recipe): bookworm.sha256}
    assert today.image(bookworm.environment, expected=right) == bookworm
    with pytest.raises(WrongHash, match="not what its lock expects") as caught:
        today.image(bookworm.environment, expected={str(bookworm.recipe): "0" * 64})
    assert caught.value.exit_code == 4
    today.events.clear()
    today.image(bookworm.environment, expected={"999": "0" * 64})
    assert [e.kind for e in today.events] == ["warning"]


# -- unpacked trees


@pytest.fixture
def tree(today: Today, bookworm: Image) -> Path:
    with unpacked.tree(
        bookworm, store=today.store, idmap=today.idmap, sink=today.events.append
    ) as path:
        return path


def rehash(image: Image, tree: Path, today: Today) -> None:
    date = image.environment.date
    unpacked.rehash(tree, sha256=image.sha256, date=date, idmap=today.idmap)


def enter(today: Today, image: Image, **changes: Any) -> list[str]:
    """Use the tree once; return the warnings."""
    today.events.clear()
    with unpacked.tree(
        image, store=today.store, idmap=today.idmap, sink=today.events.append, **changes
    ):
        return [e.text for e in today.events if e.kind in ("warning", "step")]


def test_a_tree_belongs_to_the_map_and_is_the_image(
    today: Today, bookworm: Image, tree: Path
) -> None:
    assert os.stat(tree / "usr/bin").st_uid == today.idmap.outside(0)
    assert enter(today, bookworm) == []
    rehash(bookworm, tree, today)
    stored = next(one for one in prune.images(today.store) if one.key == bookworm.key)
    prune.check(stored, today.store, idmap=today.idmap)


@pytest.mark.root
@pytest.mark.parametrize("what", ["a changed file", "times put back", "a new file"])
def test_a_tree_that_was_changed_is_found_and_made_anew(
    today: Today, bookworm: Image, tree: Path, what: str
) -> None:
    path = tree / "etc/hostname"
    before = os.stat(path)
    if what == "a new file":
        (tree / "etc/evil").write_bytes(b"")
    else:
        path.write_bytes(b"evilhost!\n")
    if what == "times put back":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WrongHash, match="was changed"):
        rehash(bookworm, tree, today)
    warning, step = enter(today, bookworm)
    assert "was changed since it was made" in warning
    assert "unpacking" in step
    assert (tree / "etc/hostname").read_bytes() == b"localhost\n"
    assert not (tree / "etc/evil").exists()


def test_a_damaged_tar_is_not_unpacked(today: Today, bookworm: Image, tmp_path: Path) -> None:
    store = Store(Path(tempfile.mkdtemp(prefix="gbuild-test-", dir="/var/tmp")))
    try:
        blob = store.blob(bookworm.sha256)
        blob.parent.mkdir()
        blob.write_bytes(b"not the tar")
        (store.root / "images" / bookworm.key).mkdir()
        with pytest.raises(WrongHash, match="damaged"):
            unpacked.prepare(
                replace(bookworm, tar=blob), store=store, idmap=today.idmap, sink=discard
            )
    finally:
        shutil.rmtree(store.root)


@pytest.mark.slow
def test_packages_of_a_foreign_architecture_are_installed(today: Today) -> None:
    environment = today.lock(
        "bookworm",
        "amd64",
        multiarch=("i386",),
        extra=("libc6:i386",),
    )
    image = today.image(environment)
    with tarfile.open(image.tar) as archive:
        names = set(archive.getnames())
    assert {"usr/lib/i386-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"} <= names


# -- foreign code


@dataclass(frozen=True)
class Gadget:
    """Bookworm locked with a package of our own, whose script each test writes."""

    mirror: Mirror
    locked: Environment
    repositories: tuple[Repository, ...]

    @classmethod
    def of(cls, today: Today, mirror: Mirror) -> Gadget:
        """Resolve it, once: what is locked is the same but for the package's bytes."""
        _gadget(mirror, "#!/bin/sh\n")
        mirror.publish("s", origin="", label="")
        key_file = mirror.root.parent / "gadgets.asc"
        key_file.write_bytes(mirror.key.public(armour=True))
        repositories = (
            Repository(
                distribution="s",
                source=mirror.root.as_uri(),
                packages=("gadget",),
                key=mirror.key.fingerprint,
                key_file=key_file.name,
            ),
        )
        locked = today.lock("bookworm", "amd64", key_file.parent, repositories=repositories)
        return cls(mirror, locked, repositories)

    def with_script(self, postinst: str) -> Environment:
        """Return the environment with a package that has this script."""
        data = _gadget(self.mirror, postinst).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        packages = (
            replace(one, sha256=sha256, size=len(data)) if one.name == "gadget" else one
            for one in self.locked.packages
        )
        return replace(self.locked, packages=tuple(packages))


def _gadget(mirror: Mirror, postinst: str) -> Path:
    folder = mirror.root / "build/gadget_1.0_amd64"
    shutil.rmtree(folder, ignore_errors=True)
    script = folder / "DEBIAN" / "postinst"
    script.parent.mkdir(parents=True)
    script.write_text(postinst)
    script.chmod(0o755)
    return mirror.package("gadget", suite="s", made=True, fields="Depends: openssh-server\n")


@pytest.fixture(scope="module")
def gadget(today: Today) -> Iterator[Gadget]:
    folder = Path(tempfile.mkdtemp(prefix="gk-"))
    key = Key.make(folder / "k")
    yield Gadget.of(today, Mirror(folder / "gadgets", key))
    key.close()
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_script_of_a_package_sees_no_host_and_cannot_make_it_write(
    today: Today, gadget: Gadget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-7d1e")
    outside = Path(tempfile.mkdtemp(prefix="gbuild-outside-", dir="/var/tmp"))
    outside.chmod(0o777)
    for name in ("ssh_host_rsa_key", "machine-id", "dpkg.log", "status"):
        (outside / name).write_text("the host's")
    postinst = f"""#!/bin/sh
set -e
{{ env; cat /proc/net/dev; }} > /usr/share/seen
test "$(ls /proc | grep -c '^[0-9]')" -lt 20
echo evil > {outside}/direct 2>/dev/null || true
rm -rf /var/log /etc/ssh /tmp /run/x /etc/machine-id /var/tmp
ln -s {outside} /var/log
ln -s {outside} /etc/ssh
ln -s {outside} /tmp
ln -s {outside} /var/tmp
ln -s {outside}/machine-id /etc/machine-id
ln -sf {outside}/status /etc/hostname
ln -s / /srv/root
mkdir -p /.locales/usr/lib/locale
ln -sf {outside}/status /etc/locale.gen
"""
    try:
        environment = gadget.with_script(postinst)
        image = today.image(environment, repositories=gadget.repositories)
        assert sorted(p.name for p in outside.iterdir()) == [
            "dpkg.log",
            "machine-id",
            "ssh_host_rsa_key",
            "status",
        ]
        assert {p.read_text() for p in outside.iterdir()} == {"the host's"}
        with unpacked.tree(
            image, store=today.store, idmap=today.idmap, sink=today.events.append
        ) as tree:
            assert (tree / "var/log").is_symlink()
            seen = (tree / "usr/share/seen").read_text()
        assert {p.read_text() for p in outside.iterdir()} == {"the host's"}
    finally:
        shutil.rmtree(outside)
    devices = re.findall(r"^ *(\w+): ", seen, re.MULTILINE)
    assert devices == ["lo"]
    assert "DEBIAN_FRONTEND" in seen
    assert "canary" not in seen


@pytest.mark.slow
def test_a_package_that_fails_is_told_in_dpkgs_words(today: Today, gadget: Gadget) -> None:
    script = "#!/bin/sh\necho it is broken >&2\nexit 3\n"
    environment = gadget.with_script(script)
    with pytest.raises(BackendFailure, match="could not be made") as caught:
        today.image(environment, repositories=gadget.repositories)
    assert any("it is broken" in line for line in caught.value.details)
    assert provide.find(environment, today.store) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mischief", "said"),
    [
        ("mv /var/lib/dpkg /var/lib/elsewhere; ln -s elsewhere /var/lib/dpkg", ""),
        ("truncate -s 1T /usr/share/hole", ""),
        ("perl -e '$x = q(x) x 5_000_000_000'", "Out of memory"),
    ],
    ids=["database", "hole", "memory"],
)
def test_a_package_cannot_hang_or_fill_the_host(
    today: Today, gadget: Gadget, mischief: str, said: str
) -> None:
    script = f"#!/bin/sh\n{mischief}\n"
    environment = gadget.with_script(script)
    with pytest.raises((BackendFailure, Untrusted)) as caught:
        today.image(environment, repositories=gadget.repositories)
    assert said in str(caught.value.details)
    assert provide.find(environment, today.store) is None


@pytest.mark.slow
def test_packages_that_grow_together_are_ended(
    today: Today, gadget: Gadget, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any("memory" in place.controllers for place in cgroup.places()):
        pytest.skip("this host does not let the memory be limited")
    monkeypatch.setattr("gbuild.image.bootstrap._MEMORY", -(2 << 30))  # of what the tree may have
    script = "#!/bin/sh\nperl -e '$x = q(x) x 1_900_000_000'\n"
    environment = gadget.with_script(script)
    with pytest.raises(BackendFailure, match="used more memory than they may"):
        today.image(environment, repositories=gadget.repositories)


# -- prune


def test_prune_leaves_what_is_in_use_and_removes_the_rest(
    today: Today, bookworm: Image, tmp_path: Path
) -> None:
    root = Path(tempfile.mkdtemp(prefix="gbuild-test-", dir="/var/tmp"))
    root.chmod(0o755)
    store = Store(root)
    try:
        shutil.copy(bookworm.tar, root / "tmp/tar")
        store.adopt(root / "tmp/tar", bookworm.sha256)
        folder = root / "images" / bookworm.key
        folder.mkdir()
        original = today.store.root / "images" / bookworm.key / "image.json"
        shutil.copy(original, folder)
        image = replace(bookworm, tar=store.blob(bookworm.sha256))
        events: list[Event] = []
        options: dict[str, Any] = {"idmap": today.idmap, "sink": events.append}
        with unpacked.tree(image, store=store, **options):
            assert prune.prune(store, unused_for=-10, **options) == ()
            assert any("stays" in e.text and e.kind == "warning" for e in events)
        assert prune.prune(store, unused_for=3600, **options) == ()
        (gone,) = prune.prune(store, unused_for=-10, **options)
        assert (gone.sha256, gone.maps) == (bookworm.sha256, (today.idmap.label,))
        assert list((root / "images").iterdir()) == []
        assert not store.has(bookworm.sha256)
    finally:
        shutil.rmtree(root)
