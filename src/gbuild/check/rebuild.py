"""Repeat the builds of two signers, to prove which of their inputs explains the difference."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gbuild.engine.build import build
from gbuild.engine.prepare import Parts
from gbuild.engine.workspace import Workspace, remove
from gbuild.errors import BuildFailed, TimedOut, Unavailable, UsageFailure
from gbuild.formats.descriptor import BOUNDS, parse_descriptor
from gbuild.formats.manifest import read_in_manifest, read_manifest
from gbuild.formats.report import read_report
from gbuild.host.files import read_small, sha256_of, write_atomically
from gbuild.image.archives import repository_origin
from gbuild.image.from_assertion import lock_assertion
from gbuild.image.lockfiles import lock_path, write
from gbuild.image.seek import Look
from gbuild.model.comparison import Differing
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import Event
from gbuild.model.manifest import LARGEST, Report
from gbuild.model.options import BuildOptions
from gbuild.model.rebuilt import Rebuild, Rebuilt, Side

_MOST = 500
"""Files that are looked at to find a descriptor by its hash."""

_DESCRIPTOR = "-desc.yml"
_GIT = "git:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How to repeat: where descriptors may be, and when (epoch) it was built, if that is known.

    ``workspace`` has the input files that cannot be downloaded, and gets ``var/rebuild``.
    """

    workspace: Path
    descriptors: Sequence[Path] = ()
    date: int | None = None
    options: BuildOptions = field(default_factory=BuildOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """What one signer says: the document, its bytes, and the descriptor it was built from."""

    data: bytes
    report: Report
    path: Path
    descriptor: Descriptor

    @property
    def inputs(self) -> Mapping[str, str]:
        """Digest by path; a commit is ``git:<commit>``."""
        return {e.path: e.digest for e in read_in_manifest(self.report.in_manifest)}

    @property
    def artifacts(self) -> Mapping[str, str]:
        """Sha256 by path."""
        return {e.path: e.digest for e in read_manifest(self.report.out_manifest)}


def rebuild(
    found: Differing, documents: tuple[bytes, bytes], request: Request, parts: Parts
) -> Rebuilt:
    """Repeat the builds of two documents whose comparison is ``found``.

    A builds with its own packages and inputs, so does B; when both packages and inputs differ,
    B's packages build A's inputs, too. A script that fails is a result.

    Raises:
        UsageFailure: a descriptor is not at hand, or is not what was built.
        Unavailable: packages or input files can be had nowhere.
        Untrusted: packages that no archive vouches for, and nobody accepted them.
        Busy: another gbuild works in the workspace.
    """
    a, b = (_signed(data, request) for data in documents)
    sides: dict[Side, _Signed] = {"A": a, "B": b}
    kinds = {change.kind for change in found.changed}
    packages_differ, inputs_differ = "package" in kinds, bool(kinds - {"package"})
    wanted: list[tuple[Side, Side]] = [("A", "A"), ("B", "B")]
    if packages_differ and inputs_differ:
        wanted.append(("B", "A"))
    # An image is called after the document that its packages were read from: here one serves both.
    locked: dict[Side, bytes] = {"A": a.data, "B": b.data if packages_differ else a.data}
    with Workspace(request.workspace).locked(wait=request.options.wait):
        builds = tuple(
            _Attempt(pair, sides, locked[pair[0]], request, parts).run() for pair in wanted
        )
    return Rebuilt(
        a=found.a,
        b=found.b,
        builds=builds,
        packages_differ=packages_differ,
        inputs_differ=inputs_differ,
    )


def _signed(data: bytes, request: Request) -> _Signed:
    report = read_report(data)
    entries = read_in_manifest(report.in_manifest)
    digest = next((e.digest for e in entries if e.path.endswith(_DESCRIPTOR)), None)
    if digest is None:
        raise UsageFailure("the document does not say which descriptor was built")
    for path in _candidates(request):
        source = read_small(path)
        if hashlib.sha256(source).hexdigest() == digest:
            descriptor = parse_descriptor(source, path=str(path))
            return _Signed(data=data, report=report, path=path, descriptor=descriptor)
    raise UsageFailure(
        f"the descriptor with sha256 {digest} is not at hand",
        hint="name that version of it with --descriptor FILE; it may be given twice",
    )


def _candidates(request: Request) -> Iterator[Path]:
    """Yield files that may be the descriptor: those named, else those of the workspace."""
    if request.descriptors:
        yield from request.descriptors
        return
    found = (
        p for pattern in ("*.yml", "descriptors/*.yml") for p in request.workspace.glob(pattern)
    )
    small = (p for p in found if p.is_file() and p.stat().st_size <= BOUNDS.size)
    yield from sorted(small)[:_MOST]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One build in a workspace of its own, ``var/rebuild/<packages>-<inputs>``.

    ``locked`` is the document that names its packages.
    """

    pair: tuple[Side, Side]
    sides: Mapping[Side, _Signed]
    locked: bytes
    request: Request
    parts: Parts

    @property
    def _inputs(self) -> _Signed:
        return self.sides[self.pair[1]]

    def run(self) -> Rebuild:
        packages, inputs = self.pair
        text = f"building again with {packages}'s packages and {inputs}'s inputs"
        self.parts.sink(Event("step", text))
        root = self._fresh()
        path, vouched = self._lay_out(root)
        outcome = Rebuild(packages=packages, inputs=inputs, vouched=vouched)
        options = replace(
            self.request.options, commits=self._commits(), upgrade=False, use_cache=False
        )
        try:
            report = build(path, options, self.parts, root).report
        except (BuildFailed, TimedOut) as error:
            return replace(outcome, failure=error.brief)
        return self._compared(outcome, read_report(read_small(report, limit=LARGEST)))

    def _fresh(self) -> Path:
        root = self.request.workspace / "var/rebuild" / "-".join(self.pair)
        remove(root)
        (root / "inputs").mkdir(parents=True)
        return root

    def _commits(self) -> dict[str, str]:
        inputs = self._inputs.inputs.items()
        return {name: d.removeprefix(_GIT) for name, d in inputs if d.startswith(_GIT)}

    def _lay_out(self, root: Path) -> tuple[Path, bool]:
        """Lay out descriptor, keys, input files and lock; say whether archives vouch for it."""
        side = self._inputs
        path = root / side.path.name
        write_atomically(path, side.descriptor.source)
        for name in (one.key_file for one in side.descriptor.repositories):
            if name is not None and (side.path.parent / name).is_file():
                shutil.copyfile(side.path.parent / name, root / name)
        self._copy_inputs(root / "inputs")
        lock, proof = lock_assertion(self.locked, self._look(root))
        write(lock_path(path), lock, proof)
        return path, all(one.vouched for one in lock.environments)

    def _look(self, root: Path) -> Look:
        repositories = self._inputs.descriptor.repositories
        return Look(
            store=self.parts.store,
            environment=self.parts.environment,
            sink=self.parts.sink,
            now=int(time.time()),
            date=self.request.date,
            more=[repository_origin(one, root) for one in repositories],
        )

    def _copy_inputs(self, folder: Path) -> None:
        """Bring the input files that a descriptor only names; their bytes must be the signer's.

        Raises:
            Unavailable: some are not in the workspace's ``inputs/``; names all.
        """
        missing = []
        for one in self._inputs.descriptor.files:
            digest = self._inputs.inputs.get(one.name, "")
            source = self.request.workspace / "inputs" / one.name
            if source.is_file() and sha256_of(source) == digest:
                shutil.copyfile(source, folder / one.name)
            elif one.sha256 != digest:
                missing.append(f"inputs/{one.name}: sha256 {digest}")
        if missing:
            raise Unavailable(
                f"{len(missing)} input files of {self.pair[1]} are not at hand",
                details=tuple(missing),
                hint="put them into the workspace's inputs/, with exactly these bytes",
            )

    def _compared(self, outcome: Rebuild, report: Report) -> Rebuild:
        made = {e.path: e.digest for e in read_manifest(report.out_manifest)}
        equal = {
            side: sum(made.get(path) == digest for path, digest in signed.artifacts.items())
            for side, signed in self.sides.items()
        }
        same = tuple(side for side, signed in self.sides.items() if signed.artifacts == made)
        return replace(outcome, total=len(made), a=equal["A"], b=equal["B"], same=same)
