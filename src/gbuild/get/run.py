"""gget from beginning to end: signatures, memory, verdict, files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from gbuild.errors import Unavailable
from gbuild.get import package, remembered
from gbuild.get.agreement import Agreement, Wanted, agreement
from gbuild.get.download import Download
from gbuild.get.install import install, prepare
from gbuild.get.layout import check, windows_refusal
from gbuild.get.offered import Offer, candidates, fetch
from gbuild.get.signatures import Tree, tree_of
from gbuild.get.sources import Source
from gbuild.host import zipped
from gbuild.host.foreign import Refused
from gbuild.host.staging import Staging, staging
from gbuild.host.web import Settings, shown
from gbuild.model.event import Event, Sink
from gbuild.model.memory import Memory
from gbuild.verify import evidence
from gbuild.verify.checker import Witness

State = Literal["refused", "fetched", "present", "dry-run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Everything that a person asked for.

    Attributes:
        wanted: the release and what must be true of it.
        signatures: the tree as the person named it, ``commit`` of it when it is a repository.
        offer: where a package lies that holds files and signatures, instead of a tree and sources.
        sources: where the files lie.
        destination: the folder in which the release's own folder will be.
        state: where memories lie.
        project: whose memory; None for that of the tree.
        largest: bytes of all files together.
        allow_older: go back to an older release.
        dry_run: change nothing, fetch no file.
        now: seconds since the epoch.
        witness: who else knows when a signature existed.
    """

    wanted: Wanted
    sources: tuple[Source, ...]
    destination: Path
    state: Path
    now: int
    signatures: str = ""
    offer: Offer | None = None
    commit: str | None = None
    project: str | None = None
    largest: int = 4 << 30
    allow_older: bool = False
    dry_run: bool = False
    witness: Witness | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it; ``sizes`` (bytes by path) only when files were fetched."""

    state: State
    agreement: Agreement
    release: str
    sizes: Mapping[str, int] | None = None


def get(order: Order, *, settings: Settings, sink: Sink) -> Result:
    """Do what was asked.

    Raises:
        Untrusted: an old tree, a downgrade, or not known for long enough.
        GbuildError: as its parts say.
    """
    if order.offer is not None:
        return _from_package(order, order.offer, settings, sink)
    with tree_of(
        order.signatures,
        release=order.wanted.release,
        commit=order.commit,
        settings=settings,
        sink=sink,
    ) as tree:
        found = _judged(order, tree, sink)
    return _settled(order, found, settings, sink)


def _settled(order: Order, found: Agreement, settings: Settings, sink: Sink) -> Result:
    """Put in place what enough persons agree on."""
    release = order.wanted.release
    if not found.trusted:
        return Result(state="refused", agreement=found, release=release)
    check(found.files)
    for path in found.files:
        if reason := windows_refusal(path):
            sink(Event("warning", f"{path}: {reason}"))
    if order.dry_run:
        return Result(state="dry-run", agreement=found, release=release)
    download = Download(sources=order.sources, largest=order.largest, settings=settings, sink=sink)
    sizes = install(order.destination, release, found.files, download)
    state: State = "present" if sizes is None else "fetched"
    return Result(state=state, agreement=found, release=release, sizes=sizes)


def _from_package(order: Order, offer: Offer, settings: Settings, sink: Sink) -> Result:
    """Find out where the package lies, and whether its release is there already."""
    wanted = order.wanted.release
    found = [
        each
        for each in candidates(offer, settings=settings, sink=sink)
        if not wanted or each.release in (None, wanted)
    ]
    if not found:
        raise Unavailable(f"no package of release {wanted} is announced anywhere")
    newest = found[0].release
    if newest and not wanted and (order.destination / newest).is_dir():
        return Result(state="present", agreement=Agreement(verdicts=()), release=newest)
    urls = [each.url for each in found]
    with _place(order, urls) as stage:
        return _arrived(order, offer, stage, urls, settings, sink)


@contextmanager
def _place(order: Order, urls: Sequence[str]) -> Iterator[Staging]:
    """Open the folder in which a package grows: beside the releases, or one that nobody keeps."""
    if order.dry_run:
        with (
            TemporaryDirectory(prefix="gbuild-package-") as folder,
            staging(Path(folder), "package") as stage,
        ):
            yield stage
        return
    prepare(order.destination)
    name = hashlib.sha256("\n".join(urls).encode()).hexdigest()[:16]
    with staging(order.destination, f"~{name}") as stage:
        yield stage


def _arrived(
    order: Order,
    offer: Offer,
    stage: Staging,
    urls: Sequence[str],
    settings: Settings,
    sink: Sink,
) -> Result:
    """Fetch the package and use it; one of two runs that does not fit together is fetched anew."""
    came = fetch(stage, urls, largest=order.largest, settings=settings, sink=sink)
    with stage.part(came.key) as part:
        try:
            with part.reading() as stream, zipped.opened(stream, what=shown(came.url)) as archive:
                return _unpacked(order, offer, archive, shown(came.url), settings, sink)
        except (Refused, Unavailable):
            if not came.resumed:
                raise
        finally:
            part.restart()
    return _arrived(order, offer, stage, urls, settings, sink)


def _unpacked(
    order: Order,
    offer: Offer,
    archive: zipped.Zipped,
    what: str,
    settings: Settings,
    sink: Sink,
) -> Result:
    """Judge what the assertions in a package say, and take from it what enough agree on."""
    said = package.contents(archive, release=order.wanted.release or None, what=what)
    material = {**order.wanted.key_material, **package.keys(archive, offer.keys)}
    wanted = replace(order.wanted, release=said.release, key_material=material)
    own = replace(order, wanted=wanted, sources=(Source(zipped=archive),))
    with TemporaryDirectory(prefix="gbuild-sigs-") as folder:
        said.write(Path(folder))
        tree = Tree(root=Path(folder), name=offer.name, remote=True, whole=False)
        found = _judged(own, tree, sink)
    there = frozenset(archive.names())
    left_out = said.optionals - there
    files = {path: d for path, d in found.files.items() if path not in left_out}
    if found.trusted and (more := package.unsigned(archive, found.files)):
        sink(Event("warning", f"{what}: {len(more)} files that nobody signed are left out"))
    return _settled(own, replace(found, files=files), settings, sink)


def _judged(order: Order, tree: Tree, sink: Sink) -> Agreement:
    """Judge the release, held against what was seen before, and remember what is seen now."""
    wanted = order.wanted
    store = remembered.Store.of(order.state, project=order.project, tree=tree.name)
    memory = store.load()
    before = memory if tree.whole else memory.only(wanted.release)
    remembered.check_not_older(tree.root, before, store.path)
    there = remembered.entries(tree.root, wanted.release)
    found = agreement(
        tree.root,
        wanted,
        remote=tree.remote,
        witness=_witness(order, memory),
        now=order.now,
        sink=sink,
    )
    if not order.dry_run:
        new = remembered.learned(
            found.verdicts, there, before=memory, now=order.now, trusted=found.trusted
        )
        store.add(new)
    if found.early is not None:
        raise found.early
    if found.trusted and not order.allow_older:
        packages = [verdict.name for verdict in found.verdicts]
        note = remembered.check_no_downgrade(wanted.release, packages, memory)
        if note:
            sink(Event("warning", note))
    return found


def _witness(order: Order, memory: Memory) -> Witness:
    """Ask what gget saw itself, and those whom the person named; what was first counts."""
    own = remembered.witness(memory, order.now)
    return own if order.witness is None else evidence.earliest(own, order.witness) or own
