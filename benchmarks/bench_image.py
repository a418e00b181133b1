"""An image from packages that are all here: gbuild's bootstrap and mmdebstrap's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Bench, NotHere, Row, call, timed, tool
from parts import environment_of, image_of

from gbuild.host.idmap import current
from gbuild.host.store import Store
from gbuild.image.provide import ensure
from gbuild.model.event import discard
from gbuild.model.lock import Environment

_MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"


def measure(bench: Bench) -> Iterator[Row]:
    """Make the same image from the same .debs on the same tmpfs, both offline, in turn."""
    image_of(bench)
    parsed, environment = environment_of(bench.store, bench.descriptor, bench.work / "result")
    store = Store(bench.fresh("image-store"))
    for package in environment.packages:
        held = Store(bench.store).blob(package.sha256)
        store.blob(package.sha256).parent.mkdir(exist_ok=True)
        shutil.copy(held, store.blob(package.sha256))

    def ours() -> None:
        ensure(
            environment,
            expected={},
            store=store,
            idmap=current(bench.environment),
            sink=discard,
            os_environment=bench.environment,
            offline=True,
        )

    note = ""
    peer: Callable[[], None] | None = None
    try:
        peer = _mmdebstrap(bench, environment, store)
    except NotHere as error:
        note = str(error)
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(bench.times(3, 1)):
        for folder in (store.root / "images").iterdir():
            call("rm", "-rf", folder)
        mine.append(timed(ours))
        if peer is not None:
            theirs.append(timed(peer))
    yield Row(
        what="image from a warm store",
        unit="s",
        ours=mine,
        peer=theirs,
        peer_name="mmdebstrap",
        limit=0.75,
        note=note or f"{parsed.name}: {len(environment.packages)} packages; 0.6 is the hope",
    )


def _mmdebstrap(bench: Bench, environment: Environment, store: Store) -> Callable[[], None]:
    program = tool("mmdebstrap")
    if os.getuid() != 0:
        raise NotHere("needs root")
    repository = bench.fresh("repository")
    stanzas = [_stanza(store.blob(p.sha256), p.file_name, repository) for p in environment.packages]
    (repository / "Packages").write_bytes(b"\n".join(stanzas))
    names = ",".join(f"{p.name}={p.version}" for p in environment.packages)
    out = bench.work / "mmdebstrap.tar"

    def once() -> None:
        out.unlink(missing_ok=True)
        call(
            program, "--quiet", "--mode=root", "--variant=custom", f"--hook-dir={_MERGED}",
            f"--architectures={environment.arch}", f"--include={names}", environment.suite,
            out, f"deb [trusted=yes] copy://{repository} ./",
            env={"SOURCE_DATE_EPOCH": str(environment.date), "TMPDIR": str(bench.work)},
        )  # fmt: skip

    return once


def _stanza(blob: Path, name: str, repository: Path) -> bytes:
    shutil.copy(blob, repository / name)
    fields = call("dpkg-deb", "-f", blob).rstrip(b"\n")
    size = blob.stat().st_size
    return fields + f"\nFilename: ./{name}\nSize: {size}\nSHA256: {blob.name}\n".encode()
