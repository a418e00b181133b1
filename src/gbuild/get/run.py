"""gget from beginning to end: signatures, memory, verdict, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gbuild.get import remembered
from gbuild.get.agreement import Agreement, Wanted, agreement
from gbuild.get.download import Download
from gbuild.get.install import install
from gbuild.get.layout import check, windows_refusal
from gbuild.get.signatures import Tree, tree_of
from gbuild.get.sources import Source
from gbuild.host.web import Settings
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
    signatures: str
    sources: tuple[Source, ...]
    destination: Path
    state: Path
    now: int
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
    sizes: Mapping[str, int] | None = None


def get(order: Order, *, settings: Settings, sink: Sink) -> Result:
    """Do what was asked.

    Raises:
        Untrusted: an old tree, a downgrade, or not known for long enough.
        GbuildError: as its parts say.
    """
    with tree_of(
        order.signatures,
        release=order.wanted.release,
        commit=order.commit,
        settings=settings,
        sink=sink,
    ) as tree:
        found = _judged(order, tree, sink)
    if not found.trusted:
        return Result(state="refused", agreement=found)
    check(found.files)
    for path in found.files:
        if reason := windows_refusal(path):
            sink(Event("warning", f"{path}: {reason}"))
    if order.dry_run:
        return Result(state="dry-run", agreement=found)
    download = Download(sources=order.sources, largest=order.largest, settings=settings, sink=sink)
    sizes = install(order.destination, order.wanted.release, found.files, download)
    return Result(state="present" if sizes is None else "fetched", agreement=found, sizes=sizes)


def _judged(order: Order, tree: Tree, sink: Sink) -> Agreement:
    """Judge the release, held against what was seen before, and remember what is seen now."""
    wanted = order.wanted
    store = remembered.Store.of(order.state, project=order.project, tree=tree.name)
    memory = store.load()
    remembered.check_not_older(tree.root, memory, store.path)
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
