"""From a locked environment to an image in the store: download, bootstrap, record."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gbuild.errors import GbuildError, Unavailable, WrongHash
from gbuild.formats.lockfile import environment_digest
from gbuild.host import idmap as idmaps
from gbuild.host import mirrors, processor, web
from gbuild.host.fetch import Wanted, fetch_all
from gbuild.host.files import write_atomically
from gbuild.host.idmap import IdMap
from gbuild.host.store import Store
from gbuild.image.archives import repository_name, snapshots
from gbuild.image.base import RECIPE, image_key
from gbuild.image.bootstrap import bootstrap
from gbuild.model.descriptor import Repository
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment, Lock, Package


def key_of(environment: Environment) -> str:
    """Return the key of an environment's image by the present recipe."""
    digest = environment_digest(environment)
    return image_key(digest, base=environment.base, date=environment.date)


def find(environment: Environment, store: Store) -> Image | None:
    """Return the image of an environment if the store has it; reads one small file."""
    key = key_of(environment)
    try:
        record = json.loads((store.root / "images" / key / "image.json").read_bytes())
        sha256 = str(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not store.has(sha256):
        return None
    return Image(
        key=key, sha256=sha256, recipe=RECIPE, environment=environment, tar=store.blob(sha256)
    )


def ensure(
    environment: Environment,
    *,
    expected: Mapping[str, str],
    store: Store,
    idmap: IdMap,
    sink: Sink,
    os_environment: Mapping[str, str],
    offline: bool = False,
    repositories: Sequence[Repository] = (),
) -> Image:
    """Return the image of a proved environment, made if the store lacks it.

    Args:
        environment: must have been proved (:func:`gbuild.image.proof.check`) or just resolved.
        expected: recipe number to sha256, from the lock's ``images``.
        store: holds packages and images.
        idmap: whose users own files inside.
        sink: is told the steps.
        os_environment: the person's environment (mirrors, proxies).
        offline: take nothing from the network.
        repositories: the descriptor's, for their addresses.

    Raises:
        HostFailure: its programs do not run on this host.
        Unavailable: packages can be had nowhere; names each, and how to relock.
        WrongHash: the image differs from what the lock expects of this recipe.
        BackendFailure: a package could not be installed.
    """
    image = find(environment, store)
    if image is None:
        with store.lock(f"image-{key_of(environment)}"):
            image = find(environment, store)
            if image is None:
                processor.check_runs(environment.arch)
                download(
                    environment,
                    store=store,
                    sink=sink,
                    os_environment=os_environment,
                    offline=offline,
                    repositories=repositories,
                )
                image = _make(environment, store, idmap, sink)
    os.utime(store.root / "images" / image.key / "image.json")  # used now: see gbuild.image.prune
    _compare(image, expected, sink)
    return image


def _compare(image: Image, expected: Mapping[str, str], sink: Sink) -> None:
    label = image.environment.label
    wanted = expected.get(str(image.recipe))
    if wanted is None and expected:
        known = ", ".join(sorted(expected))
        text = f"the lock knows the image of {label} by recipe {known}, this gbuild has {RECIPE}"
        sink(Event("warning", text, {"job": label}))
    if wanted not in (None, image.sha256):
        raise WrongHash(
            f"the image of {label} is not what its lock expects",
            details=(f"expected sha256 {wanted}", f"got      sha256 {image.sha256}"),
            hint="the same packages gave other bytes: compare the tars; "
            "glock records a new hash if this one is right",
        )


def download(
    environment: Environment,
    *,
    store: Store,
    sink: Sink,
    os_environment: Mapping[str, str],
    offline: bool = False,
    repositories: Sequence[Repository] = (),
) -> None:
    """Bring every package of an environment into the store.

    Raises:
        Unavailable: names every package that can be had nowhere.
    """
    places = _places(environment.archives, os_environment, repositories)
    wanted = [_wanted(package, places) for package in environment.packages]
    _fetch(environment, wanted, store, sink, os_environment, offline=offline)


def download_boot(
    environment: Environment,
    *,
    store: Store,
    sink: Sink,
    os_environment: Mapping[str, str],
    offline: bool = False,
) -> None:
    """Bring what an environment's virtual machine boots from into the store.

    Raises:
        Unavailable: names every package that can be had nowhere.
    """
    places = _places(environment.archives, os_environment, ())
    wanted = [_wanted(package, places) for package in environment.boot]
    _fetch(environment, wanted, store, sink, os_environment, offline=offline)


def _fetch(
    environment: Environment,
    wanted: Sequence[Wanted],
    store: Store,
    sink: Sink,
    os_environment: Mapping[str, str],
    *,
    offline: bool,
) -> None:
    try:
        fetch_all(
            store,
            wanted,
            sink=sink,
            settings=web.settings(os_environment),
            offline=offline,
            label=f"packages of {environment.label}",
        )
    except Unavailable as error:
        missing = [one for one in wanted if not store.has(one.sha256)]
        raise Unavailable(
            f"{len(missing)} locked packages of {environment.label} can be had nowhere",
            details=(*(f"{one.name} sha256 {one.sha256}" for one in missing), *_reasons(error)),
            hint="pin what the archives have now: glock DESCRIPTOR"
            if environment.vouched
            else "look for them again: glock from-assertion ASSERTION",
        ) from error


def _reasons(error: GbuildError) -> tuple[str, ...]:
    return (error.brief, *error.details[:40])


def _places(
    archives: Sequence[Archive], environment: Mapping[str, str], repositories: Sequence[Repository]
) -> dict[str, tuple[str, ...]]:
    """Return where each archive's files may be: mirrors, own addresses, then snapshots."""
    places: dict[str, tuple[str, ...]] = {}
    own = {repository_name(one): one.source.rstrip("/") for one in repositories}
    for archive in archives:
        first = [own[archive.name]] if archive.name in own else []
        first += mirrors.bases(archive.name, environment)
        first += mirrors.bases(f"{archive.name}-archived", environment)
        known = places.get(archive.name, tuple(first))
        places[archive.name] = (*known, *snapshots(archive, environment))
    return places


def _wanted(package: Package, places: Mapping[str, tuple[str, ...]]) -> Wanted:
    bases = dict.fromkeys(places.get(package.archive, ()))  # none for what nobody vouches for
    return Wanted(
        name=package.file_name,
        sha256=package.sha256,
        size=package.size,
        urls=tuple(f"{base}/{quoted(package.path)}" for base in bases),
    )


def quoted(path: str) -> str:
    """Return a path of an archive as it stands in a URL."""
    from urllib.parse import quote

    return quote(path, safe="/~+:=,@")


def _make(environment: Environment, store: Store, idmap: IdMap, sink: Sink) -> Image:
    """Bootstrap into a file of the store; the record is written last."""
    sink(Event("step", f"making the image of {environment.label}", {"job": environment.label}))
    # One name for each image, whose lock is held: what a killed run left is written over.
    path = store.root / "tmp" / f"image-{key_of(environment)}"
    path.unlink(missing_ok=True)
    try:
        with path.open("x+b") as stream:
            bootstrap(environment, stream.fileno(), store=store, idmap=idmap, sink=sink)
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        store.adopt(path, sha256)
    finally:
        path.unlink(missing_ok=True)
    folder = store.root / "images" / key_of(environment)
    folder.mkdir(exist_ok=True, mode=0o755)
    record = {
        "date": environment.date,
        "label": environment.label,
        "recipe": RECIPE,
        "sha256": sha256,
    }
    write_atomically(folder / "image.json", json.dumps(record, sort_keys=True).encode())
    image = find(environment, store)
    if image is None:
        raise Unavailable(f"the image of {environment.label} vanished from the store")
    return image


def with_images(
    lock: Lock,
    *,
    repositories: Sequence[Repository],
    store: Store,
    sink: Sink,
    environment: Mapping[str, str],
) -> Lock:
    """Make every image of a lock and return the lock with their hashes under this recipe."""
    idmap = idmaps.current(environment)
    images = {label: dict(known) for label, known in lock.images.items()}
    for one in lock.environments:
        image = ensure(
            one,
            expected={},
            store=store,
            idmap=idmap,
            sink=sink,
            os_environment=environment,
            repositories=repositories,
        )
        images.setdefault(one.label, {})[str(image.recipe)] = image.sha256
    return replace(lock, images=images)
