"""apt for hosts that have none: Debian's, in an image like any other, shut in like a build.

The image holds apt of one Debian release, what it needs, and the essential packages. No version is
pinned here: the packages are those that the release's own signed archive lists now, found by
following the names in their dependencies, which in a release fit each other. So every host gets
the same apt until the next point release, and nothing has to be had that mirrors have dropped.
dpkg refuses the set if it does not fit, and the lock does not depend on which apt made it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from gbuild.errors import BackendFailure, HostFailure, Unavailable, WrongHash
from gbuild.host import apt, mirrors, web
from gbuild.host import idmap as idmaps
from gbuild.host.idmap import IdMap
from gbuild.host.process import CLEAN_ENVIRONMENT, Completed
from gbuild.host.sandbox.launcher import FAILED
from gbuild.host.sandbox.trusted import run_trusted
from gbuild.host.store import Store
from gbuild.image import provide, unpacked
from gbuild.image.archives import Freshness, distribution_origins, index_text, obtain
from gbuild.image.packages import essential, with_needs
from gbuild.image.suites import suite
from gbuild.model.event import Event, Sink
from gbuild.model.image import Image
from gbuild.model.lock import Environment, Package

DISTRO, SUITE, ARCH = "debian", "bookworm", "amd64"
"""Whose apt it is; the sandbox knows this one family of processors."""

NAME = f"{DISTRO} {SUITE}"
"""It, for messages."""

_REQUEST = ("apt", "mawk")
"""mawk is one of those that provide awk, which base-files needs."""

_PROGRAM = Path(__file__).parent / "inside" / "tool.py"
_NOT_RUN = (FAILED, 127, 70)
"""The sandbox was not made, there is no apt-get, our own program failed."""

_TIMED_OUT = 124


class Tools:
    """This host's apt, or else one in an image of the store, made when it is first wanted."""

    def __init__(
        self, store: Store, *, environment: Mapping[str, str], sink: Sink, now: int
    ) -> None:
        self._now = now
        self._store = store
        self._environment = environment
        self._sink = sink
        self._image: Image | None = None

    @contextmanager
    def apt(self, folder: Path) -> Iterator[apt.Run]:
        """Hold an apt that sees ``folder`` under its own path and may write to ``folder/apt``.

        Raises:
            Unavailable: this host has none, and the packages of Debian's can be had nowhere.
            Untrusted: what is offered as them may not be believed.
            BackendFailure: it cannot be run here.
        """
        if (own := apt.on_host()) is not None:
            yield own
            return
        idmap = idmaps.current(self._environment)
        if self._image is None:
            self._image = self._made(idmap)
        with unpacked.tree(self._image, store=self._store, idmap=idmap, sink=self._sink) as tree:
            yield partial(_confined, tree, folder, (self._store.root / "blobs").resolve(), idmap)

    def _made(self, idmap: IdMap) -> Image:
        brief = "apt is not installed on this host"
        self._sink(Event("step", f"{brief}: using that of {NAME}, in a sandbox"))
        try:
            return provide.ensure(
                self._resolved(),
                expected={},
                store=self._store,
                idmap=idmap,
                sink=self._sink,
                os_environment=self._environment,
            )
        except WrongHash:
            raise
        except Unavailable as error:
            raise Unavailable(
                f"{brief}, and that of {NAME}, to be used instead, cannot be had",
                details=(error.brief, *error.details),
                hint="install apt (many distributions have it), or name a mirror of Debian: "
                "GBUILD_MIRROR_DEBIAN=https://...",
            ) from error

    def _resolved(self) -> Environment:
        """Choose the packages in the release's signed index as it is now."""
        every = distribution_origins(DISTRO, SUITE, ARCH, environment=self._environment)
        origin = next(one for one in every if one.pocket.suite == SUITE)
        snapshots = mirrors.snapshot_bases(DISTRO, self._now, self._environment)
        state = obtain(
            replace(origin, bases=tuple(dict.fromkeys((*origin.bases, *snapshots)))),
            (ARCH,),
            store=self._store,
            fresh=Freshness(now=self._now, floors={}),
            settings=web.settings(self._environment),
            sink=self._sink,
        )
        text = b"\n".join(index_text(index, self._store) for index in state.indexes)
        request = sorted((*_REQUEST, *suite(DISTRO, SUITE).extra))
        found = with_needs(text, {*request, *essential(text, ARCH)})
        packages = (Package(archive=state.archive.name, **one.fields()) for one in found)
        return Environment(
            suite=SUITE,
            arch=ARCH,
            distro=DISTRO,
            request=tuple(request),
            archives=(state.archive,),
            packages=tuple(sorted(packages, key=lambda p: (p.name, p.arch))),
            base="minimal",
        )


def _confined(
    tree: Path,
    folder: Path,
    blobs: Path,
    idmap: IdMap,
    words: Sequence[str],
    env: Mapping[str, str],
) -> Completed:
    """Run the tree's apt-get; it sees the folder and the blobs that links in it lead to."""
    own = folder / "apt"
    _hand_over(folder, idmap)
    what = {
        "tree": str(tree),
        "folders": [str(blobs), str(folder), str(own)],
        "writable": [str(own)],
        "env": {**CLEAN_ENVIRONMENT, **env},
        "timeout": apt.TIMEOUT,
    }
    done = run_trusted(
        idmap,
        _PROGRAM,
        ("apt-get", *words),
        folders=(tree, blobs, folder),
        stdin=json.dumps(what).encode(),
    )
    details = tuple(done.stderr.decode(errors="replace").splitlines()[-20:])
    if done.returncode in _NOT_RUN:
        raise BackendFailure("apt could not be started in the sandbox", details=details)
    if done.returncode == _TIMED_OUT:
        raise HostFailure(f"apt took longer than {apt.TIMEOUT:g} seconds", details=details)
    return replace(done, argv=("apt-get", *words))


def _hand_over(folder: Path, idmap: IdMap) -> None:
    """Give a folder, which holds nothing secret, to the mapped root; a person is that already."""
    if os.geteuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, idmap.outside(0), idmap.gids[0][1], follow_symlinks=False)
